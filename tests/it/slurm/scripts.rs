//! The scripts.

use std::process::Command;

use bench::run::Step::{Pretraining, Ranking, Retrieval};
use bench::slurm::{Submission, arguments, quote, report_arguments, report_script, script};
use proptest::prelude::*;

use super::{submission, wanted};

fn sweep() -> Submission {
    submission(
        "/runs",
        &[
            wanted(Pretraining, 1, '0', &[]),
            wanted(Retrieval, 1, 'a', &[]),
            wanted(Retrieval, 2, 'b', &[]),
            wanted(Ranking, 2, 'd', &[(Retrieval, 'b'), (Pretraining, '0')]),
        ],
    )
}

#[test]
fn the_script_of_an_array_computes_one_cell_by_its_index() {
    let mut submission = sweep();
    submission.wishes.partition = Some("gpu".to_owned());
    submission.wishes.array_limit = Some(5);
    let expected = "\
#!/bin/bash
# 1 cell of the stage ranking; submission sweep, bench 0.1.0. To be submitted from the folder of this script, where its log goes.
#SBATCH --job-name=bench-sweep-ranking
#SBATCH --array=1%5
#SBATCH --output=logs/ranking-0.%a.log
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=16384M
#SBATCH --time=0-04:00:00
#SBATCH --gres=gpu:1
#SBATCH --partition=gpu
#SBATCH --open-mode=append
#SBATCH --requeue
ended=/runs/submissions/sweep/ended/ranking-0.\"$SLURM_ARRAY_TASK_ID\"
cd -- /home/me/work || exit 96
unset HF_TOKEN HUGGING_FACE_HUB_TOKEN
rm -f -- \"$ended\"
trap : TERM
/opt/bench cell --data-dir /data --runs-dir /runs --reports-dir /home/me/reports --threads 2 \
/runs/submissions/sweep/submission.json ranking-0 \"$SLURM_ARRAY_TASK_ID\"
code=$?
printf '%s %s\\n' \"$code\" \"${SLURMD_NODENAME:-?}\" > \"$ended\"
exit \"$code\"
";
    assert_eq!(script(&submission, &submission.batches[2]), expected);
    // The retrievals wait for nothing, have no GPU, and are two.
    let retrievals = script(&submission, &submission.batches[1]);
    assert!(retrievals.contains("#SBATCH --array=0-1%5\n"), "{retrievals}");
    assert!(!retrievals.contains("--gres") && !retrievals.contains("--kill-on"), "{retrievals}");
}

#[test]
fn dependencies_are_arguments_because_jobs_have_no_number_before() {
    let mut submission = sweep();
    submission.wishes.sbatch = vec!["--constraint=avx512 & fast".to_owned()];
    let jobs = ["11".to_owned(), "12".to_owned()];
    assert_eq!(
        arguments(&submission, &submission.batches[2], &jobs),
        [
            "--parsable",
            "--dependency=aftercorr:12,afterok:11_0",
            "--constraint=avx512 & fast",
            "ranking-0.sh"
        ]
    );
    let expected = ["--parsable", "--dependency=afterany:11:12", "--constraint=avx512 & fast", "report.sh"];
    assert_eq!(report_arguments(&submission, &jobs), expected);
}

#[test]
fn the_report_is_made_of_all_files_with_their_changes() {
    let mut submission = sweep();
    submission.files = vec!["-odd.toml".to_owned(), "a b.toml".to_owned()];
    submission.overrides = vec!["seeds=[1, 2]".to_owned()];
    let script = report_script(&submission);
    let command = "/opt/bench report --data-dir /data --runs-dir /runs --reports-dir /home/me/reports -S 'seeds=[1, 2]' -- \
        -odd.toml 'a b.toml'\n";
    assert!(script.contains(command), "{script}");
    assert!(!script.contains("--gres"), "{script}");
}

/// What bash takes a text for.
fn words(line: &str) -> Vec<String> {
    let output = Command::new("bash").args(["-c", &format!("printf '%s\\0' {line}")]).output().expect("bash");
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('\0').unwrap_or(&text).split('\0').map(str::to_owned).collect()
}

#[test]
fn a_shell_takes_every_path_for_one_word() {
    let paths = [
        "plain/path.toml",
        "a b",
        "it's",
        "$HOME `id` $(id)",
        "*?[a]",
        "",
        "-n",
        "~",
        "a\\b\"c",
        "é;|&<>!#{}",
    ];
    let line: Vec<String> = paths.iter().map(|path| quote(path)).collect();
    assert_eq!(words(&line.join(" ")), paths);
    assert_eq!(
        (quote("plain/path.toml").as_str(), quote("it's").as_str()),
        ("plain/path.toml", r"'it'\''s'")
    );
}

#[test]
fn a_script_with_odd_folders_is_sound_bash_and_runs_the_program_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("it's $HOME; `id`");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let mut submission = submission(&text(&odd.join("runs")), &[wanted(Retrieval, 1, 'a', &[])]);
    submission.program = text(&odd.join("prog ram"));
    submission.directory = text(&odd);
    std::fs::create_dir_all(submission.folder().join("ended")).unwrap();
    std::fs::write(
        odd.join("prog ram"),
        "#!/bin/bash\npwd\nprintf '%s\\n' \"${HF_TOKEN-none}\" \"$@\"\nexit 7\n",
    )
    .unwrap();
    Command::new("chmod").arg("+x").arg(odd.join("prog ram")).status().unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", &script(&submission, &submission.batches[0])]);
    let output = command.env("SLURM_ARRAY_TASK_ID", "0").env("HF_TOKEN", "secret").output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    let runs = text(&odd.join("runs"));
    let manifest = format!("{runs}/submissions/sweep/submission.json");
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = [
        &text(&odd),
        "none",
        "cell",
        "--data-dir",
        "/data",
        "--runs-dir",
        &runs,
        "--reports-dir",
        "/home/me/reports",
        "--threads",
        "2",
        &manifest,
        "retrieval-0",
        "0",
    ];
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    assert_eq!(std::fs::read_to_string(submission.ended("retrieval-0", Some(0))).unwrap(), "7 ?\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_is_quoted_comes_back(text in "[^\u{0}]{0,40}") {
        prop_assert_eq!(words(&quote(&text)), [text]);
    }
}
