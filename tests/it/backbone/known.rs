//! The table of known models: their shapes without their files.

use bench::backbone::{Error, Hub, Known, ModelConfig, known, outline};

use crate::rank::tiny;

/// A hub whose cache is the folder `cache`.
fn hub(cache: &std::path::Path) -> Hub {
    Hub { cache: cache.to_owned(), ..Hub::from_env().unwrap() }
}

#[test]
fn known_models_have_the_numbers_of_parameters_that_are_published() {
    let published = [
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616),
        ("meta-llama/Llama-2-13b-hf", 13_015_864_320),
        ("meta-llama/Llama-2-70b-hf", 68_976_648_192),
        ("meta-llama/Meta-Llama-3-8B", 8_030_261_248),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248),
        ("meta-llama/Llama-3.2-1B", 1_235_814_400),
        ("meta-llama/Llama-3.2-3B", 3_212_749_824),
        ("mistralai/Mistral-7B-v0.1", 7_241_732_096),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_048_384),
        ("Qwen/Qwen2.5-0.5B", 494_032_768),
        ("Qwen/Qwen2.5-1.5B", 1_543_714_304),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        // Without the output layer, which is the embedding.
        ("Qwen/Qwen3-0.6B", 596_049_920),
        ("Qwen/Qwen3-1.7B", 1_720_574_976),
        ("Qwen/Qwen3-4B", 4_022_468_096),
        ("Qwen/Qwen3-8B", 8_190_735_360),
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008),
    ];
    let found: Vec<(&str, u64)> =
        known().iter().map(|known| (known.name, known.config().parameters())).collect();
    assert_eq!(found, published);
}

#[test]
fn known_shapes_can_be_and_are_read_back_from_their_description() {
    for known in known() {
        let config = known.config();
        assert_eq!(config.problems(), Vec::<String>::new(), "{}", known.name);
        assert_eq!(ModelConfig::from_json(config.to_json().as_bytes()), Ok(config), "{}", known.name);
    }
    let of = |name| Known::of(name).unwrap().config();
    assert_eq!(of("META-LLAMA/llama-3.1-8b").max_positions, 131_072);
    assert_eq!(
        (of("mistralai/Mistral-7B-v0.1").sliding_window, of("Qwen/Qwen3-8B").head_dim),
        (Some(4096), 128)
    );
    assert!(Known::of("meta-llama/Llama-9").is_none());
}

#[test]
fn the_description_that_is_here_goes_before_the_table_and_one_of_them_is_needed() {
    let place = tempfile::tempdir().unwrap();
    let hub = hub(&place.path().join("hub"));
    let name = "meta-llama/Llama-3.2-1B";
    let found = outline(name, None, &hub).unwrap();
    assert_eq!(found.config, Known::of(name).unwrap().config());
    assert_eq!((found.is_described, found.tokenizer, found.revision), (false, None, None));
    // A snapshot in the cache, of which only the description is there.
    let commit = "0123456789012345678901234567890123456789";
    let repository = hub.cache.join("models--meta-llama--Llama-3.2-1B");
    let snapshot = repository.join("snapshots").join(commit);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), commit).unwrap();
    std::fs::write(snapshot.join("config.json"), tiny::config().to_json()).unwrap();
    let found = outline(name, None, &hub).unwrap();
    assert_eq!((found.config, found.is_described), (tiny::config(), true));
    assert_eq!((found.tokenizer, found.revision.as_deref()), (None, Some(commit)));
    assert!(!found.has_wide_tables);
    let float16 = tiny::config().to_json().replacen('{', "{\"torch_dtype\": \"float16\",", 1);
    std::fs::write(snapshot.join("config.json"), float16).unwrap();
    assert!(outline(name, None, &hub).unwrap().has_wide_tables);
    assert!(outline("meta-llama/Llama-2-7b-hf", None, &hub).unwrap().has_wide_tables);
    // A folder with nothing in it.
    let folder = place.path().join("model");
    std::fs::create_dir_all(&folder).unwrap();
    match outline(folder.to_str().unwrap(), None, &hub) {
        Err(Error::NoShape { looked, .. }) => assert_eq!(looked, folder),
        other => panic!("{other:?}"),
    }
    std::fs::write(folder.join("config.json"), "{}").unwrap();
    assert!(matches!(outline(folder.to_str().unwrap(), None, &hub), Err(Error::Config { .. })));
}
