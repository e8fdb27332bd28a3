//! Whether the hub answers, and whether it knows the token.

use std::time::Duration;

use super::Hub;
use crate::backbone::Error;
use crate::events::{Interrupt, Silent};
use crate::fetch::{self, Job, Kind};

/// No answer to such a question is longer.
const MAX_BYTES: u64 = 16 << 20;

/// Ask the hub something small: who the token is of, or without one for the name of any model. One try, of at most some seconds.
///
/// # Errors
/// What the server or the network says.
pub fn ask(hub: &Hub, interrupt: &Interrupt) -> Result<(), Error> {
    let question = if hub.token.is_some() { "api/whoami-v2" } else { "api/models?limit=1" };
    let url = format!("{}/{question}", hub.endpoint);
    let folder = tempfile::tempdir().map_err(|e| Error::read(&std::env::temp_dir(), e))?;
    let authorization = hub.token.as_ref().map(super::Token::authorization);
    let job = Job {
        url: &url,
        target: &folder.path().join("answer.json"),
        label: "the hub",
        expected: None,
        bytes: None,
        max_bytes: MAX_BYTES,
        kind: Kind::Json,
        by_hand: "check the network, HF_ENDPOINT and HF_TOKEN",
        authorization: authorization.as_deref(),
        advise: None,
    };
    let options = fetch::Options {
        tries: 1,
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(10),
        ..hub.options.clone()
    };
    fetch::download(&job, &options, &Silent, interrupt)?;
    Ok(())
}
