//! Ids, weights, moments and names: what is read, what is refused, how it is shown.

use std::collections::HashSet;

use proptest::prelude::*;
use raft3d::domain::command::{NewFilament, NewJob, NewPrinter};
use raft3d::domain::id::{INTEGER_MAX, Id, IdError, TEXT_LEN_MAX};
use raft3d::domain::model::{FilamentType, JobStatus};
use raft3d::domain::time::Timestamp;
use raft3d::domain::weight::Grams;
use serde_json::json;

use crate::support::{Farm, at, grams, number, text};

fn id_of(json: &str) -> Result<Id, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn the_text_form_is_the_identity() {
    assert_eq!(number(7), text("7"));
    assert_eq!(number(-7), text("-7"));
    assert_eq!(number(0), text("0"));
    assert_eq!(HashSet::from([number(7), text("7")]).len(), 1);
    for other in ["07", "+7", " 7", "7 ", "7.0", "7e0", "٧"] {
        assert_ne!(number(7), text(other), "{other:?} is another text");
    }
    assert_ne!(number(0), text("-0"));
    assert_eq!(number(7).key(), "7");
    assert_eq!(text("a/b").key(), "a/b");
    assert_eq!(text("a b").to_string(), "a b");
}

#[test]
fn an_id_keeps_its_json_type() {
    for json in [
        "7",
        "-7",
        "0",
        "\"7\"",
        "\"007\"",
        "\"Ender 3 / left\"",
        "\"é\"",
    ] {
        let id = id_of(json).expect("an id");
        assert_eq!(serde_json::to_string(&id).expect("JSON"), json);
        let bytes = postcard::to_allocvec(&id).expect("bytes");
        let back: Id = postcard::from_bytes(&bytes).expect("an id");
        assert_eq!(serde_json::to_string(&back).expect("JSON"), json);
    }
    assert!(number(7).is_number());
    assert!(!text("7").is_number());
}

#[test]
fn ids_have_limits() {
    assert_eq!(INTEGER_MAX, 9_007_199_254_740_991);
    assert!(id_of("9007199254740991").is_ok());
    assert!(id_of("-9007199254740991").is_ok());
    for json in [
        "9007199254740992",
        "-9007199254740992",
        "9223372036854775808",
        "-9223372036854775808",
    ] {
        let error = id_of(json).expect_err("out of range");
        assert!(error.contains(json), "{error} names {json}");
    }
    for json in ["1.0", "1e2", "true", "null", "[]", "{}", "1e999", "\"\""] {
        assert!(id_of(json).is_err(), "{json} is no id");
    }
    assert_eq!(Id::from_text(""), Err(IdError::Empty));
    assert_eq!(Id::from_key(""), Err(IdError::Empty));
    assert_eq!(TEXT_LEN_MAX, 128);
    assert!(Id::from_text(&"x".repeat(128)).is_ok());
    let long = Id::from_text(&"x".repeat(129));
    assert_eq!(long, Err(IdError::TooLong { length: 129 }));
    let bytes_count = Id::from_text(&"é".repeat(65));
    assert_eq!(bytes_count, Err(IdError::TooLong { length: 130 }));
    assert!(Id::from_integer(i64::MIN).is_err());
}

#[test]
fn a_string_beyond_the_integers_is_a_text() {
    let beyond = text("9007199254740992");
    assert!(beyond > number(INTEGER_MAX), "texts come after integers");
    assert!(
        beyond < text("a"),
        "and are ordered by bytes among themselves"
    );
    assert_eq!(beyond.key(), "9007199254740992");
}

#[test]
fn ids_are_ordered_integers_by_value_then_texts_by_bytes() {
    let mut ids = [
        text("b"),
        number(10),
        text("B"),
        text("9"),
        number(-3),
        text("10a"),
        number(0),
        text("é"),
    ];
    ids.sort();
    let keys: Vec<String> = ids.iter().map(Id::to_string).collect();
    assert_eq!(keys, ["-3", "0", "9", "10", "10a", "B", "b", "é"]);
}

proptest! {
    #[test]
    fn equal_ids_have_equal_keys_and_order_agrees(a in any_id(), b in any_id()) {
        prop_assert_eq!(a == b, a.key() == b.key());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(Id::from_key(&a.key()), Ok(a));
    }
}

fn any_id() -> impl Strategy<Value = Id> {
    let texts = prop_oneof!["-?[0-9]{1,3}", "-?[0-9]{15,17}", "\\PC{1,4}"];
    prop_oneof![
        (-12i64..12).prop_map(number),
        texts.prop_map(|value| text(&value)),
    ]
}

#[test]
fn weights_are_integers_in_range() {
    let weight = |json: &str| serde_json::from_str::<Grams>(json).map_err(|e| e.to_string());
    assert_eq!(weight("0"), Ok(Grams::ZERO));
    assert_eq!(weight("9007199254740991"), Ok(Grams::MAX));
    for json in [
        "9007199254740992",
        "18446744073709551616",
        "-1",
        "1.5",
        "1.0",
        "1e3",
        "\"5\"",
        "null",
        "true",
        "[1]",
    ] {
        let error = weight(json).expect_err("no weight");
        assert!(
            error.contains("an integer from 0 to 9007199254740991"),
            "{json}: {error}"
        );
    }
    assert_eq!(serde_json::to_value(grams(250)).ok(), Some(json!(250)));
    assert_eq!(Grams::new(1 << 53), None);
    assert_eq!(Grams::MAX.checked_add(grams(1)), None);
    assert_eq!(grams(3).saturating_sub(grams(5)), Grams::ZERO);
    assert_eq!(grams(250).to_string(), "250 g");
}

#[test]
fn moments_are_shown_in_utc_with_three_decimals() {
    for (millis, shown) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_769_847_300_250, "2026-01-31T08:15:00.250Z"),
        (Timestamp::MAX.as_millis(), "9999-12-30T22:00:00.000Z"),
    ] {
        assert_eq!(at(millis).to_string(), shown);
        assert_eq!(serde_json::to_value(at(millis)).ok(), Some(json!(shown)));
        assert_eq!(
            serde_json::from_value(json!(shown)).ok(),
            Some(at(millis)),
            "{shown} is read back"
        );
    }
    assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::MAX);
    for wrong in [
        json!("yesterday"),
        json!("1969-12-31T23:59:59Z"),
        json!(12),
        json!(""),
    ] {
        let read = serde_json::from_value::<Timestamp>(wrong.clone());
        assert!(read.is_err(), "{wrong} is no moment");
    }
    let beyond = postcard::to_allocvec(&u64::MAX).expect("bytes");
    assert!(postcard::from_bytes::<Timestamp>(&beyond).is_err());
}

#[test]
fn filament_types_in_any_letter_case() {
    for (written, read) in [
        ("PLA", FilamentType::Pla),
        ("pla", FilamentType::Pla),
        ("PetG", FilamentType::Petg),
        ("abs", FilamentType::Abs),
        ("tPu", FilamentType::Tpu),
    ] {
        assert_eq!(written.parse(), Ok(read));
        let json = json!({"type": written, "color": "red", "total_weight_in_grams": 5});
        let new: NewFilament = serde_json::from_value(json).expect("a filament");
        assert_eq!(new.filament_type, read);
        assert_eq!(serde_json::to_value(read).ok(), Some(json!(read.name())));
    }
    for wrong in ["", "wood", "PLA ", "\"PLA\""] {
        let error = wrong.parse::<FilamentType>().expect_err("no type");
        assert!(
            error.to_string().contains("PLA, PETG, ABS or TPU"),
            "{error}"
        );
    }
}

#[test]
fn statuses_in_any_letter_case_and_cancelled() {
    for (written, read) in [
        ("queued", JobStatus::Queued),
        ("RUNNING", JobStatus::Running),
        ("Done", JobStatus::Done),
        ("canceled", JobStatus::Canceled),
        ("Cancelled", JobStatus::Canceled),
        ("CANCELLED", JobStatus::Canceled),
    ] {
        assert_eq!(written.parse(), Ok(read));
        assert_eq!(serde_json::to_value(read).ok(), Some(json!(read.name())));
    }
    for wrong in ["", "finished", "\"running\"", "canceledd"] {
        assert!(
            wrong.parse::<JobStatus>().is_err(),
            "{wrong:?} is no status"
        );
    }
}

#[test]
fn objects_have_the_documented_fields() {
    let mut farm = Farm::new();
    farm.now = 1_769_847_300_250;
    let moment = "2026-01-31T08:15:00.250Z";
    let printer = farm.printer(Some(text("left")));
    assert_eq!(
        serde_json::to_value(printer).ok(),
        Some(json!({
            "id": "left", "company": "Creality", "model": "Ender 3",
            "created_at": moment, "updated_at": moment, "modified_index": 1,
        }))
    );
    let filament = farm.filament(None, 750);
    assert_eq!(
        serde_json::to_value(filament).ok(),
        Some(json!({
            "id": 1, "type": "PETG", "color": "red",
            "total_weight_in_grams": 750, "remaining_weight_in_grams": 750,
            "created_at": moment, "updated_at": moment, "modified_index": 2,
        }))
    );
    farm.printer(None);
    let job = farm.job(20);
    assert_eq!(
        serde_json::to_value(job).ok(),
        Some(json!({
            "id": 1, "printer_id": 1, "filament_id": 1, "filepath": "parts/bracket.gcode",
            "print_weight_in_grams": 20, "status": "Queued",
            "created_at": moment, "updated_at": moment, "modified_index": 4,
        }))
    );
}

#[test]
fn unknown_json_fields_are_refused_by_name() {
    let printer = json!({"company": "Prusa", "model": "MK4", "colour": "red"});
    let error = serde_json::from_value::<NewPrinter>(printer).expect_err("refused");
    assert!(error.to_string().contains("colour"), "{error}");
    let job = json!({
        "printer_id": 1, "filament_id": 1, "filepath": "a", "print_weight_in_grams": 1,
        "status": "Done",
    });
    let error = serde_json::from_value::<NewJob>(job).expect_err("refused");
    assert!(error.to_string().contains("status"), "{error}");
}
