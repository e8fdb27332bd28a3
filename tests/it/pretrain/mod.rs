//! Built-in backbones.

mod words;

use bench::backbone::Folder;
use bench::data::{Dataset, ItemId, Split};
use bench::events::{Interrupt, Silent};
use bench::experiment::{DatasetSource, DatasetSpec, PretrainSpec, ReadOut, SyntheticSpec};
use bench::pretrain::lessons::{Order, Teacher};
use bench::pretrain::worlds::{World as Made, Worlds};
use bench::pretrain::{Error, Geometry, Request, Start, ensure, is_built_in, train_tokenizer};
use bench::prompt::{Tokenizer, Verbalizer};
use bench::run::{Claims, DatasetRecord, Turn};
use bench::seed::Seed;

struct World {
    titles: Vec<String>,
    split: Split,
    record: DatasetRecord,
    spec: PretrainSpec,
}

fn world() -> World {
    let source = SyntheticSpec { users: 60, items: 60, ..SyntheticSpec::default() };
    let spec = DatasetSpec::new(DatasetSource::Synthetic(source));
    let dataset = Dataset::load(&spec, std::path::Path::new("nowhere"), &Silent).unwrap();
    let split = Split::leave_one_out(&dataset).unwrap();
    let statistics = dataset.statistics();
    let record = DatasetRecord {
        name: "synthetic".to_owned(),
        users: statistics.users as u64,
        items: statistics.items as u64,
        interactions: statistics.interactions as u64,
        mean_length: statistics.mean_length,
        density: statistics.density,
        split_fingerprint: split.fingerprint.as_str().to_owned(),
        sources: Vec::new(),
        preparation: Vec::new(),
        warnings: Vec::new(),
    };
    let spec = PretrainSpec {
        seed: 42,
        vocabulary: 600,
        tokens: Some(4_000),
        step_tokens: 512,
        learning_rate: 1e-3,
        warmup_steps: 2,
    };
    World { titles: dataset.items.into_iter().map(|item| item.title).collect(), split, record, spec }
}

impl World {
    fn request(&self) -> Request<'_> {
        Request {
            geometry: Geometry::Tiny,
            spec: &self.spec,
            titles: &self.titles,
            split: &self.split,
            dataset: &self.record,
            labels: 20,
            history_items: 10,
            title_tokens: 32,
        }
    }

    fn tokenizer(&self) -> Tokenizer {
        let bytes = train_tokenizer(&self.titles, 20, 600).unwrap();
        Tokenizer::from_bytes("tokenizer.json", &bytes, None).unwrap()
    }
}

#[test]
fn a_tokenizer_is_the_same_each_time_and_reads_every_letter_as_one_token() {
    let world = world();
    let twice = [0, 1].map(|_| train_tokenizer(&world.titles, 20, 600).unwrap());
    assert_eq!(twice[0], twice[1]);
    let tokenizer = world.tokenizer();
    assert!(tokenizer.vocab_size() <= 600);
    for read_out in [ReadOut::InContext, ReadOut::Standalone] {
        let verbalizer = Verbalizer::new(&tokenizer, 20, read_out).unwrap();
        assert!(verbalizer.audit().reads_what_is_trained());
    }
    for title in world.titles.iter().map(String::as_str).chain(["Ünïcode, Part 17 (\u{4e2d})", "(A) B (12)"])
    {
        assert_eq!(tokenizer.decode(&tokenizer.encode(title).unwrap()).unwrap(), title);
    }
}

#[test]
fn the_letter_of_a_candidate_is_the_token_of_the_answer() {
    let world = world();
    let tokenizer = world.tokenizer();
    let answer = tokenizer.encode("### Response:\nC").unwrap();
    let label = tokenizer.encode(" (C)").unwrap();
    assert_eq!(label.len(), 3);
    assert_eq!(label[1], answer[answer.len() - 1]);
}

#[test]
fn a_lesson_asks_for_the_letter_that_stands_before_the_text() {
    let world = world();
    let tokenizer = world.tokenizer();
    let teacher = Teacher::new(&tokenizer, &world.titles, &world.split, (20, 10, 32)).unwrap();
    let mut rng = Seed::new(1).stream("test");
    for pool in [2, 5, 20] {
        let lesson = teacher.find(pool, 6, &mut rng);
        assert_eq!(lesson.ids.len(), lesson.labels.len());
        let text = tokenizer.decode(&lesson.ids).unwrap();
        let entries: Vec<(&str, &str)> = text
            .split("<s>")
            .nth(1)
            .unwrap()
            .split(" \n")
            .filter_map(|entry| entry.split_once(") "))
            .map(|(letter, title)| (letter.rsplit('(').next().unwrap(), title))
            .collect();
        assert_eq!(entries.len(), pool);
        let mut asked = 0;
        for question in text.split(" (1) ").skip(1) {
            let (title, answer) = question.split_once("; \n Candidate pool:\n\n### Response:\n").unwrap();
            let answer = answer.split("<s>").next().unwrap();
            assert!(entries.contains(&(answer, title)), "{question:?} of {entries:?}");
            asked += 1;
        }
        assert_eq!((asked, lesson.labels.iter().flatten().count()), (6, 6));
    }
}

#[test]
fn what_is_held_out_is_never_an_answer() {
    let mut world = world();
    // An item that is nowhere but in the held-out places.
    let hidden = ItemId::new(1).unwrap();
    for items in &mut world.split.train {
        items.retain(|item| *item != hidden);
        items.push(ItemId::new(2).unwrap());
    }
    world.split.validation.fill(hidden);
    world.split.test.fill(hidden);
    let tokenizer = world.tokenizer();
    let teacher = Teacher::new(&tokenizer, &world.titles, &world.split, (20, 10, 32)).unwrap();
    let mut rng = Seed::new(1).stream("test");
    for _ in 0..50 {
        let lesson = teacher.prompt(20, Order::Any, &mut rng);
        let text = tokenizer.decode(&lesson.ids).unwrap();
        let (prompt, answer) = text.split_once("### Response:\n").unwrap();
        let letter = answer.trim_end_matches("</s>");
        let shown = prompt.split(&format!("({letter}) ")).nth(1).unwrap();
        assert!(!shown.starts_with(&world.titles[0]), "{text}");
    }
}

#[test]
fn a_backbone_is_made_once_and_opens_as_a_folder_of_hugging_face() {
    let world = world();
    let runs = tempfile::tempdir().unwrap();
    let interrupt = Interrupt::default();
    let make = |root: &std::path::Path| ensure(&world.request(), root, "test", &Silent, &interrupt).unwrap();
    let folder = make(runs.path());
    let written = std::fs::metadata(folder.join("manifest.json")).unwrap().modified().unwrap();
    assert_eq!(make(runs.path()), folder);
    assert_eq!(std::fs::metadata(folder.join("manifest.json")).unwrap().modified().unwrap(), written);
    let opened = Folder::open(&folder).unwrap();
    let config = opened.config().unwrap();
    assert_eq!((config.hidden, config.layers, config.tied), (64, 3, true));
    let weights =
        bench::backbone::load(&opened, bench::nn::quant::Storage::F32, &Silent, &interrupt).unwrap();
    assert_eq!(weights.config, config);
    // The same weights elsewhere, bit for bit.
    let other = tempfile::tempdir().unwrap();
    let read = |folder: &std::path::Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert_eq!(read(&make(other.path())), read(&folder));
}

#[test]
fn settings_and_data_decide_the_key() {
    let world = world();
    let key = world.request().key();
    let other = PretrainSpec { tokens: Some(5_000), ..world.spec.clone() };
    assert_ne!(Request { spec: &other, ..world.request() }.key(), key);
    assert_ne!(Request { geometry: Geometry::Small, ..world.request() }.key(), key);
    let mut titles = world.titles.clone();
    titles[3].push('!');
    assert_ne!(Request { titles: &titles, ..world.request() }.key(), key);
    assert_eq!(world.request().key(), key);
}

#[test]
fn names_are_those_of_the_built_in_backbones() {
    assert_eq!(Geometry::of("embedded:tiny"), Some(Geometry::Tiny));
    assert_eq!(Geometry::of("embedded:small"), Some(Geometry::Small));
    assert_eq!(Geometry::of("embedded:huge"), None);
    assert!(is_built_in("embedded:huge") && !is_built_in("org/embedded"));
    let message = Error::Unknown { name: "embedded:huge".into(), known: "a and b".into() }.to_string();
    assert_eq!(message, "backbone.name is \"embedded:huge\", but the built-in backbones are a and b");
}

#[test]
fn an_interrupt_stops_the_lessons() {
    let world = world();
    let interrupt = Interrupt::default();
    interrupt.request();
    let runs = tempfile::tempdir().unwrap();
    let made = ensure(&world.request(), runs.path(), "test", &Silent, &interrupt);
    assert!(matches!(made, Err(Error::Interrupted)));
}

#[test]
fn one_that_another_process_makes_is_waited_for_and_made_if_it_is_given_back() {
    let world = world();
    let runs = tempfile::tempdir().unwrap();
    let path = runs.path().join("pretraining").join(format!("{}.claim", world.request().key()));
    let Turn::Ours(taken) = Claims::default().take(&path).unwrap() else { panic!("taken") };
    let interrupt = Interrupt::default();
    let make = || ensure(&world.request(), runs.path(), "test", &Silent, &interrupt).map_err(Box::new);
    std::thread::scope(|scope| {
        let maker = scope.spawn(make);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!maker.is_finished());
        drop(taken);
        assert!(maker.join().unwrap().unwrap().join("manifest.json").is_file());
    });
    std::fs::remove_dir_all(runs.path().join("pretraining")).unwrap();
    let _taken = Claims::default().take(&path).unwrap();
    std::thread::scope(|scope| {
        let maker = scope.spawn(make);
        std::thread::sleep(std::time::Duration::from_millis(100));
        interrupt.request();
        assert!(matches!(*maker.join().unwrap().unwrap_err(), Error::Interrupted));
    });
}

#[test]
fn first_weights_are_the_same_after_a_way_through_a_file() {
    for geometry in Geometry::ALL {
        let start = Start::shipped(geometry).unwrap();
        assert_eq!(Start::from_bytes(&start.to_bytes().unwrap()).unwrap(), start);
    }
    let message = Start::from_bytes(b"nothing").unwrap_err().to_string();
    assert!(message.starts_with("the first weights of a built-in backbone: "), "{message}");
}

#[test]
fn prompts_of_any_catalogue_share_the_tokens_that_first_weights_know() {
    let mut rng = Seed::new(1).stream("test");
    let worlds: Vec<Made> = (0..3).map(|_| Made::draw(&mut rng).unwrap()).collect();
    let (course, model) = Worlds::new(&worlds, Geometry::Tiny, Seed::new(1)).unwrap();
    let frame = |start: &Start| start.frame().map(str::to_owned).collect::<Vec<_>>();
    let shipped = frame(&Start::shipped(Geometry::Tiny).unwrap());
    assert_eq!(frame(&course.start(&model)), shipped);
    // 20 letters, 10 digits, begin and end, and 12 of the fixed text.
    assert_eq!(shipped.len(), 44);
    assert_eq!(frame(&Start::shipped(Geometry::Small).unwrap()), shipped);
}
