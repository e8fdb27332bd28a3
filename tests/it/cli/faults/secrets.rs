//! The token of the hub is shown nowhere, whatever is done or fails.

use std::fs;

use super::{EVERY_STEP, Place, Ran, files, moment, place, random};
use crate::fetch::server::Server;

/// One in the environment and one in a file. Neither has the letters that tokens of the hub begin with, by which they could be told.
const TOKENS: [&str; 2] = ["Sesame-7Qx2LmVb90-environment", "Sesame-Zr41KpWd66-file"];

/// Where there is one of them.
fn leak(text: &[u8]) -> bool {
    TOKENS.iter().any(|token| text.windows(token.len()).any(|window| window == token.as_bytes()))
}

/// The program with a token from the environment, from a file that it names, or from the place where people log in.
fn run(place: &Place, arguments: &[&str], from: usize, endpoint: &str) -> Ran {
    let mut command = place.command(arguments);
    command.env("HOME", place.path("home")).env("HF_ENDPOINT", endpoint);
    match from {
        0 => command.env("HF_TOKEN", TOKENS[0]),
        1 => command.env("HF_TOKEN_PATH", place.path("secret/token")),
        _ => command.env("HF_HOME", place.path("home/.cache/huggingface")),
    };
    let ran: Ran = command.output().unwrap().into();
    super::did_not_panic(&ran);
    assert!(!leak(ran.stdout.as_bytes()) && !leak(ran.stderr.as_bytes()), "{arguments:?} shows a token");
    ran
}

/// No file has a token but those that were made with one.
fn nothing_kept(place: &Place, after: &str) {
    for path in files(&place.path(".")) {
        let ours = path.ends_with("secret/token") || path.ends_with("huggingface/token");
        assert!(ours || !leak(&fs::read(&path).unwrap()), "after {after}, {} has a token", path.display());
        assert!(!leak(path.to_string_lossy().as_bytes()), "after {after}, a file is named by a token");
    }
}

/// A server that refuses, and sends back what it was told, as bad ones do.
fn refusing() -> Server {
    Server::start(|request, to| {
        let echo = format!("you sent {}", request.header("authorization"));
        let headers =
            format!("X-Error-Code: GatedRepo\nX-Error-Message: {echo}\nContent-Length: {}", echo.len());
        to.send("403 Forbidden", &headers, echo.as_bytes());
    })
}

#[test]
fn no_output_and_no_file_has_the_token_of_the_hub() {
    let server = refusing();
    let base = server.base();
    let mut rng = random("secrets");
    for from in 0..3 {
        let place = place();
        for file in ["secret/token", "home/.cache/huggingface/token"] {
            place.write(file, &format!("{}\n", TOKENS[1]));
        }
        let gated = super::BOTH.replace("./model", "somebody/gated").replace("faulty", "gated");
        place.write("gated.toml", &gated);
        place.write("broken.toml", "name = 3");
        let one = ["-S", "seeds=[1]"];
        // A run that is killed leaves a claim, checkpoints and temporary files.
        let mut command = place.command(&EVERY_STEP);
        command
            .env("HF_TOKEN", TOKENS[0])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(moment(&mut rng));
        child.kill().unwrap();
        child.wait().unwrap();
        nothing_kept(&place, "a killed run");
        // Each with the code that it ends with.
        let commands: [(&[&str], &[i32]); 17] = [
            (&[&EVERY_STEP[..], &one].concat(), &[0]),
            (&["plan", "tiny.toml"], &[0]),
            (&["plan", "gated.toml"], &[0]),
            (&["ls"], &[0]),
            (&["doctor"], &[0]),
            (&["doctor", "--online"], &[0]),
            (&["report", "tiny.toml"], &[0]),
            (&["bundle", "tiny.toml", "--partial", "-o", "paper.zip"], &[0]),
            (&["bundle", "--check", "paper.zip"], &[0]),
            (&["replay", "reports/faulty"], &[0]),
            (&["clean", "tiny.toml"], &[0]),
            (&["export", "tiny.toml", "--format", "csv", "--to", "exported"], &[0]),
            // What fails.
            (&["fetch", "gated.toml"], &[]),
            (&["fetch", "somebody/gated"], &[]),
            (&["gated.toml"], &[]),
            (&["broken.toml"], &[]),
            (&["tiny.toml", "-S", &format!("backbone.name=./{}", "nowhere")], &[]),
        ];
        for (arguments, codes) in commands {
            // Where the token comes from matters only to those that look for it.
            let online = ["fetch", "doctor", "gated.toml"].contains(&arguments[0]);
            if from > 0 && !online {
                continue;
            }
            let ran = run(&place, arguments, from, &base);
            let wanted =
                if codes.is_empty() { ran.code != Some(0) } else { codes.contains(&ran.code.unwrap()) };
            assert!(wanted, "{arguments:?} ended with {:?}\n{}\n{}", ran.code, ran.stdout, ran.stderr);
            nothing_kept(&place, &arguments.join(" "));
        }
        // Whoever types a token where none belongs is told so without it.
        for arguments in [
            &["tiny.toml", "-S", &format!("backbone.token={}", TOKENS[0])][..],
            &["fetch", TOKENS[0]],
            &[TOKENS[0]],
        ] {
            let mut command = place.command(arguments);
            let ran: Ran = command.env("HF_TOKEN", TOKENS[0]).output().unwrap().into();
            super::did_not_panic(&ran);
            nothing_kept(&place, "a token among the arguments");
        }
    }
    let asked = server.seen();
    let sent = |token: &str| asked.iter().any(|request| request.header("authorization").contains(token));
    assert!(TOKENS.iter().all(|token| sent(token)), "the tokens were used");
}
