//! A language model on a device gives what it gives on the processor.

use bench::rank::engine::check::{self, Case, OF_BF16, OF_F32};
use half::bf16;

use super::machines;

#[test]
fn a_decoder_on_a_device_scores_and_learns_as_on_the_processor() {
    for machine in machines() {
        for (name, case) in [("nf4", Case::nf4()), ("bf16", Case::bf16())] {
            for (what, by) in case.distances::<f32>(&machine).unwrap() {
                println!("{}: {what} of {name} in f32: {by:.2e}", machine.name());
                assert!(by < OF_F32, "{what} of {name}: {by}");
            }
            for (what, by) in case.distances::<bf16>(&machine).unwrap() {
                println!("{}: {what} of {name} in bf16: {by:.2e}", machine.name());
                assert!(by > 0.0 && by < OF_BF16, "{what} of {name}: {by}");
            }
        }
        assert_eq!(check::check(&machine), Ok(()));
    }
}
