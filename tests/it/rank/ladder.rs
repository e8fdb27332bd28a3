//! The rungs of a report, worked by hand.

use std::collections::BTreeMap;

use bench::baseline::built_in;
use bench::document::markdown;
use bench::eval::{Averaging, Metric, MetricKind, Rung};
use bench::report::{Error, Input, Report, document};
use bench::run::{
    AuditRecord, BackboneRecord, Cell, CurvePoint, LabelRecord, PromptRecord, RankedPart, RankerRecord,
    RankingCell, Reading, StoredPart, StoredRanking, StoredRetrieval,
};

use crate::report::cell;

/// Four users and two candidates each, items 10 to 17; the third user's target 99 is not retrieved.
fn retrieval(seed: u64) -> Cell {
    let part = StoredPart {
        candidates: vec![10, 11, 12, 13, 14, 15, 16, 17],
        scores: vec![2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0],
        ranks: vec![2, 1, 7, 2],
        targets: vec![11, 12, 99, 17],
        tied_users: 0,
    };
    let mut cell = cell(seed, &[1]);
    cell.manifest.dataset.users = 4;
    cell.retrieval = StoredRetrieval { k: 2, validation: part.clone(), test: part };
    cell
}

/// The three users of R, the last one shown the other way round, with these scores (in the order shown).
fn part(readings: &[(Rung, &str, [f32; 6])]) -> RankedPart {
    let (candidates, targets) = (vec![10, 11, 12, 13, 17, 16], vec![11, 12, 17]);
    let reading = |(rung, name, scores): &(Rung, &str, [f32; 6])| {
        Reading::new(*rung, name, scores.to_vec(), (&candidates, &targets)).unwrap()
    };
    let readings = readings.iter().map(reading).collect();
    RankedPart { users: vec![0, 1, 3], candidates: candidates.clone(), targets: targets.clone(), readings }
}

fn ranking(seed: u64, test: RankedPart) -> RankingCell {
    let Cell { mut manifest, settings, .. } = retrieval(seed);
    let prompts = PromptRecord { prompts: 3, of: 3, tokens: 300, longest: 120, ..PromptRecord::default() };
    let key = std::mem::replace(&mut manifest.key, format!("{:064x}", seed + 1000));
    manifest.stage = "ranking".to_owned();
    manifest.ranker = Some(RankerRecord {
        backbone: BackboneRecord {
            name: "meta-llama/Llama-2-7b-hf".to_owned(),
            revision: None,
            source: "hub".to_owned(),
            identity: "ab".repeat(32),
            architecture: "LlamaForCausalLM".to_owned(),
            parameters: 6_738_415_616,
            vocabulary: 32_000,
            quantization: "nf4".to_owned(),
            compute_type: "bf16".to_owned(),
            bytes: 4 << 30,
            files: Default::default(),
            random: None,
        },
        retrieval_key: key,
        tuned: true,
        candidate_order: "retriever".to_owned(),
        validation: prompts.clone(),
        test: prompts,
        training: Some(PromptRecord {
            prompts: 16,
            of: 160,
            cut_prompts: 2,
            cut_tokens: 9,
            ..PromptRecord::default()
        }),
        cut_titles: 1,
    });
    let point =
        |step, train_loss, metric| CurvePoint { step, epoch: 1, train_loss, metric, wall_seconds: 1.0 };
    let validation = part(&[
        (Rung::ZeroShot, "in-context", [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
        (Rung::Tuned, "in-context", [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]),
    ]);
    RankingCell {
        manifest,
        ranking: StoredRanking { k: 2, validation, test },
        curve: vec![point(0, None, 0.25), point(100, Some(1.5), 0.75)],
        audit: AuditRecord {
            read_out: "in-context".to_owned(),
            tokenizer: "cd".repeat(32),
            context: vec![29901, 13],
            labels: vec![
                LabelRecord { label: "A".to_owned(), in_context: vec![29909], standalone: vec![319] },
                LabelRecord { label: "B".to_owned(), in_context: vec![29933], standalone: vec![350] },
            ],
        },
        settings,
    }
}

/// Zero-shot ranks 2, 1, 2; tuned 1, 1, 2, and read standalone 2, 2, 1, with a tie for the first user.
fn tested() -> RankedPart {
    part(&[
        (Rung::ZeroShot, "in-context", [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
        (Rung::ZeroShot, "standalone", [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
        (Rung::Tuned, "in-context", [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]),
        (Rung::Tuned, "standalone", [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]),
    ])
}

fn report(cells: &[Cell], rankings: &[RankingCell]) -> Result<Report, Error> {
    let seeds: Vec<u64> = cells.iter().map(|cell| cell.manifest.seed).collect();
    Report::build(&Input {
        experiment: "ml-100k-llama-2-7b",
        description: "",
        settings: &[],
        cutoffs: &[1, 2],
        averaging: Averaging::Users,
        batch_size: None,
        seeds: &seeds,
        cells,
        rankings,
        baselines: &built_in().unwrap(),
        strata: None,
        warnings: &[],
    })
}

fn two() -> Report {
    let worse = part(&[
        (Rung::ZeroShot, "in-context", [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
        (Rung::ZeroShot, "standalone", [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
        (Rung::Tuned, "in-context", [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
        (Rung::Tuned, "standalone", [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
    ]);
    let (first, second) = (retrieval(42), retrieval(43));
    report(&[first, second], &[ranking(42, tested()), ranking(43, worse)]).unwrap()
}

const MRR_2: Metric = Metric::new(MetricKind::Mrr, 2);
const RECALL_1: Metric = Metric::new(MetricKind::Recall, 1);

#[test]
fn ties_between_candidates_go_to_the_smaller_item_and_are_counted() {
    let reading = &tested().readings[3];
    assert_eq!((reading.ranks.as_slice(), reading.tied_users), ([2, 2, 1].as_slice(), 1));
}

#[test]
fn every_rung_stands_where_it_should_over_r() {
    let ranker = two().ranker.unwrap();
    let found: Vec<(Rung, Option<&str>, f64)> = ranker
        .test
        .rungs
        .iter()
        .map(|rung| (rung.rung, rung.read_out.as_deref(), rung.ranker_only[&MRR_2].seeds.mean))
        .collect();
    // Retriever: ranks 2, 1, 2. Tuned, in context: 1, 1, 2 with one seed and 2, 1, 2 with the other.
    let [low, high] = [2.0 / 3.0, 2.5 / 3.0];
    let expected = [
        (Rung::Random, None, 0.75),
        (Rung::Retriever, None, low),
        (Rung::ZeroShot, Some("standalone"), low),
        (Rung::ZeroShot, Some("in-context"), low),
        (Rung::Tuned, Some("standalone"), f64::midpoint(low, low)),
        (Rung::Tuned, Some("in-context"), f64::midpoint(low, high)),
        (Rung::Oracle, None, 1.0),
    ];
    for ((rung, read_out, value), expected) in found.iter().zip(expected) {
        assert_eq!((*rung, *read_out), (expected.0, expected.1));
        assert!((value - expected.2).abs() < 1e-12, "{rung} {read_out:?}: {value} {}", expected.2);
    }
    assert_eq!(found.len(), 7);
    // Recall at the number of candidates says nothing over R.
    assert!(!ranker.test.rungs[0].ranker_only.contains_key(&Metric::new(MetricKind::Recall, 2)));
}

#[test]
fn overall_is_ranker_only_times_the_share_of_retrieved_users() {
    let ranker = two().ranker.unwrap();
    for ladder in [&ranker.test, &ranker.validation] {
        for rung in &ladder.rungs {
            for (metric, over_r) in &rung.ranker_only {
                let overall = rung.overall.as_ref().unwrap()[metric].seeds.mean;
                assert!((overall - over_r.seeds.mean * 3.0 / 4.0).abs() < 1e-12, "{} {metric}", rung.rung);
            }
        }
    }
    assert_eq!((ranker.test.retrieved.mean, ranker.test.ranked.mean), (3.0, 3.0));
}

#[test]
fn the_share_of_the_headroom_is_taken_seed_by_seed() {
    let ranker = two().ranker.unwrap();
    // Of the third above the retriever one seed gains half, the other nothing.
    let share = ranker.test.headroom[&MRR_2];
    assert!((share.mean - 0.25).abs() < 1e-12 && (share.max - 0.5).abs() < 1e-12, "{share:?}");
    // Recall@1 rises for one of four users with one of two seeds.
    let gain = ranker.test.gain[&RECALL_1];
    assert!((gain.seeds.mean - 0.125).abs() < 1e-12, "{gain:?}");
    // Users' means are 1/2, 0, 0, 0: sd 1/4, over sqrt 4.
    assert!((gain.se_users - 0.125).abs() < 1e-12, "{gain:?}");
}

#[test]
fn published_rankers_of_the_same_backbone_stand_beside_ours() {
    let mut report = two();
    let comparisons = report.ranker.take().unwrap().comparisons;
    // Cutoffs 1 and 2 are in no paper.
    assert_eq!(comparisons, []);
    let cells = [retrieval(42)];
    let report = Report::build(&Input {
        experiment: "x",
        description: "",
        settings: &[],
        cutoffs: &[5, 10],
        averaging: Averaging::Users,
        batch_size: None,
        seeds: &[42],
        cells: &cells,
        rankings: &[ranking(42, tested())],
        baselines: &built_in().unwrap(),
        strata: None,
        warnings: &[],
    })
    .unwrap();
    let found: BTreeMap<(String, String), usize> =
        report.ranker.unwrap().comparisons.iter().fold(BTreeMap::new(), |mut found, row| {
            *found.entry((row.source.table.clone(), row.scope.to_string())).or_default() += 1;
            found
        });
    let row = |table: &str, scope: &str, n| ((table.to_owned(), scope.to_owned()), n);
    // Over R, Recall@5 and @10 of a list of two candidates say nothing.
    let expected = [
        row("Table 1", "overall", 6),
        row("Table 3", "retrieved-subset", 4),
        row("Table II", "ranker-only", 4),
        row("Table III", "overall", 6),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn rankings_of_other_candidates_are_refused() {
    let cells = [retrieval(42), retrieval(43)];
    let mut rankings = [ranking(42, tested()), ranking(43, tested())];
    rankings[1].manifest.ranker.as_mut().unwrap().retrieval_key = "0".repeat(64);
    let error = report(&cells, &rankings).unwrap_err().to_string();
    let expected = format!(
        "report ml-100k-llama-2-7b: the ranking of seed 43 is of other candidates: {}; expected {:064x}; run the seed again",
        "0".repeat(64),
        43
    );
    assert_eq!(error, expected);
    let error = report(&cells, &rankings[..1]).unwrap_err().to_string();
    assert!(error.contains("the ranking of seed 42 is not one of each seed: 1; expected 2"), "{error}");
}

#[test]
fn the_report_shows_ladder_letters_curve_and_what_was_cut() {
    let text = markdown(&document(&two()).unwrap(), "figures");
    for expected in [
        "| tuned, in-context (c, the result) | **0.5000** ± 0.2357 | **0.5000** ± 0.2357 | **0.5000** ± 0.2357 | **0.7500** ± 0.1179 |",
        "| random order (expected) (bound) | 0.5000 | 0.5000 |",
        "| share of the headroom gained (%) |",
        "The two read-outs differ for 2 of 2 letters. Scores are read in-context: the ids that training teaches.",
        "| A | 29909 | 319 | no |",
        "| 100 | 1.5000 | 0.7500 | 1.5000 | 0.7500 |",
        "- Seed 42: 2 of 16 prompts of training were cut on the left and lost the beginning of the instruction (4.5 tokens on \
         average).",
        "ranks the candidates again.",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn a_read_out_that_training_never_teaches_is_the_first_warning() {
    let mut ranking = ranking(42, tested());
    ranking.audit.read_out = "standalone".to_owned();
    let report = report(&[retrieval(42)], &[ranking]).unwrap();
    assert_eq!(
        report.warnings[0],
        "Scores of 2 of 2 letters are read from token ids that training never teaches (A: read 319, trained 29909): \
         ranker.read_out = \"in-context\" reads the trained ones."
    );
    // The tie is of the read-out that counts.
    assert!(
        report.warnings.iter().any(|warning| warning.starts_with(
            "Seed 42: the tuned ranker gives the held-out item of 1 of 3 ranked users the score of another candidate"
        )),
        "{:?}",
        report.warnings
    );
}

#[test]
fn a_tuned_rung_that_is_the_untouched_backbone_is_a_warning() {
    let mut ranking = ranking(42, tested());
    let training = ranking.manifest.training.as_mut().unwrap();
    (training.best_step, training.best_metric) = (0, 0.25);
    training.selected_by = "ndcg@10".to_owned();
    let report = report(&[retrieval(42)], &[ranking]).unwrap();
    let expected = "Seed 42: no validation was better than that before training (ndcg@10 0.2500), so the tuned rung is the backbone \
                    as it was.";
    assert!(report.warnings.iter().any(|warning| warning == expected), "{:?}", report.warnings);
    assert!(!two().warnings.iter().any(|warning| warning.contains("as it was")));
}
