//! The learning rate of each step.

/// A linear rise, then a linear fall to 0 (`get_linear_schedule_with_warmup` of transformers).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps of the rise.
    pub warmup_steps: u32,
    /// Steps in all.
    pub total_steps: u32,
}

impl Schedule {
    /// The rate of step number `step`, from 1. The first step of a rise has rate 0, as in the reference: it only begins the
    /// optimizer's moments.
    ///
    /// ```
    /// use bench::rank::Schedule;
    /// let schedule = Schedule { peak: 1.0, warmup_steps: 4, total_steps: 12 };
    /// assert_eq!([1, 2, 5, 9, 12].map(|step| schedule.rate(step)), [0.0, 0.25, 1.0, 0.5, 0.125]);
    /// ```
    #[must_use]
    pub fn rate(&self, step: u32) -> f64 {
        let done = f64::from(step.saturating_sub(1));
        let (warmup, total) = (f64::from(self.warmup_steps), f64::from(self.total_steps));
        let factor = if done < warmup {
            done / warmup.max(1.0)
        } else {
            ((total - done) / (total - warmup).max(1.0)).max(0.0)
        };
        self.peak * factor
    }
}
