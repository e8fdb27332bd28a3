//! Charts.

use super::sample;
use bench::document::chart::*;
use proptest::prelude::*;

/// No words cover others, and none leave the picture.
fn readable(scene: &Scene) -> Result<(), String> {
    let texts: Vec<&Text> = scene.texts().collect();
    for (at, text) in texts.iter().enumerate() {
        let (left, top, right, bottom) = text.bounds();
        if left < -0.5 || top < -0.5 || right > Scene::WIDTH + 0.5 || bottom > scene.height + 0.5 {
            return Err(format!("{:?} leaves the picture", text.words));
        }
        for other in &texts[at + 1..] {
            let (l, t, r, b) = other.bounds();
            if left < r && l < right && top < b && t < bottom {
                return Err(format!("{:?} and {:?} overlap", text.words, other.words));
            }
        }
    }
    Ok(())
}

#[test]
fn no_words_overlap_or_leave_the_picture_in_any_kind() {
    for (name, chart) in sample::charts() {
        readable(&chart.scene(Some(sample::STAMP))).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn every_series_of_every_kind_is_named_in_the_picture() {
    for (name, series) in
        [("bars", "LlamaRec, tuned"), ("intervals", "Beauty"), ("ladder", "zero-shot"), ("curves", "seed 46")]
    {
        let chart = sample::charts().into_iter().find(|(kind, _)| *kind == name).unwrap().1;
        let scene = chart.scene(None);
        assert_eq!(scene.texts().filter(|text| text.words == series).count(), 1, "{name}");
    }
}

#[test]
fn words_and_series_have_the_contrast_that_wcag_aa_asks_for() {
    for theme in [Theme::Light, Theme::Dark] {
        let ground = theme.colour(Ink::Surface);
        for ink in [Ink::Text, Ink::Muted, Ink::Alarm] {
            assert!(contrast(theme.colour(ink), ground) >= 4.5, "{theme:?} {ink:?}");
        }
        for at in 0..SERIES {
            let found = contrast(theme.colour(Ink::Series(at)), ground);
            assert!(found >= 3.0, "{theme:?} series {at}: {found}");
        }
    }
    // Black on white, from the definition.
    assert!((contrast([0, 0, 0], [255, 255, 255]) - 21.0).abs() < 1e-12);
}

/// Linear light as a person without one kind of cone sees it: Viénot, Brettel and Mollon (1999) for red and green.
fn dichromat(colour: Rgb, protan: bool) -> [f64; 3] {
    let [r, g, b] = colour.map(|channel| (f64::from(channel) / 255.0).powf(2.2));
    if protan {
        [0.112_38 * r + 0.887_62 * g, 0.112_38 * r + 0.887_62 * g, 0.004_01 * r - 0.004_01 * g + b]
    } else {
        [0.292_75 * r + 0.707_25 * g, 0.292_75 * r + 0.707_25 * g, -0.022_34 * r + 0.022_34 * g + b]
    }
}

#[test]
fn the_first_four_series_stay_apart_for_red_and_green_blind_eyes() {
    for theme in [Theme::Light, Theme::Dark] {
        for protan in [false, true] {
            let seen: Vec<[f64; 3]> = (0..4)
                .map(|at| {
                    dichromat(theme.colour(Ink::Series(at)), protan)
                        .map(|light| light.max(0.0).powf(1.0 / 2.2))
                })
                .collect();
            for a in 0..4 {
                for b in a + 1..4 {
                    let distance: f64 =
                        seen[a].iter().zip(seen[b]).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 0.1, "{theme:?} protan {protan}: {a} and {b} are {distance:.3} apart");
                }
            }
        }
    }
}

#[test]
fn a_picture_is_well_formed_and_names_itself() {
    let svg = sample::bars().svg(None, Theme::Dark);
    assert!(svg.starts_with("<svg role=\"img\" width=\"640\" height=\""));
    assert!(svg.contains("<title>Overall metrics, ML-100K</title>"));
    assert!(svg.trim_end().ends_with("</svg>"));
    assert!(!svg.contains("http://www.w3.org/2000/svg\" href"), "no link");
    let png = sample::bars().png(None, Theme::Light);
    let reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
    assert_eq!(reader.info().width, 1280);
}

#[test]
fn light_and_dark_differ_in_colours_alone() {
    let bare = |theme| {
        let mut svg = sample::curves().svg(None, theme);
        for ink in Theme::inks() {
            let [r, g, b] = theme.colour(ink);
            svg = svg.replace(&format!("\"#{r:02X}{g:02X}{b:02X}\""), &format!("{ink:?}"));
        }
        svg
    };
    assert_eq!(bare(Theme::Light), bare(Theme::Dark));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn bars_of_any_values_and_names_stay_readable(
        values in prop::collection::vec(prop::collection::vec(prop::option::of(-1e6f64..1e6), 1..7), 1..6),
        name in "[A-Za-z0-9@ ]{0,40}",
    ) {
        let width = values[0].len();
        let series = values.iter().map(|row| Series {
            name: name.clone(),
            values: (0..width).map(|at| row.get(at).copied().flatten().map(Estimate::exact)).collect(),
        });
        let chart = Chart::Bars(Bars {
            title: name.clone(),
            axis: Axis::new(name.clone(), 3),
            categories: (0..width).map(|at| format!("{name} {at}")).collect(),
            series: series.collect(),
        });
        prop_assert_eq!(readable(&chart.scene(Some(&name))), Ok(()));
    }

    #[test]
    fn intervals_of_any_values_stay_readable(
        values in prop::collection::vec((-1e5f64..1e5, 0.0f64..1e4), 1..9), scale in -6i32..4,
    ) {
        let scale = 10f64.powi(scale);
        let rows = values.iter().enumerate().map(|(at, (value, half))| IntervalRow {
            name: format!("metric {at}"),
            values: vec![Some(Estimate::within(value * scale, (value - half) * scale, (value + half) * scale))],
        });
        let chart = Chart::Intervals(Intervals {
            title: "t".to_owned(), axis: Axis::new("improvement", 2).unit("%"), better: None,
            series: vec!["s".to_owned()], looks: Vec::new(), rows: rows.collect(),
        });
        prop_assert_eq!(readable(&chart.scene(None)), Ok(()));
    }
}
