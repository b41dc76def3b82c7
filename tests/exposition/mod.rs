//! Reads Prometheus' text format, version 0.0.4, and takes nothing that the format forbids.

// Every test program uses some of this, none all of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One value of a series.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All series of one metric.
#[derive(Debug, Clone)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// What a node showed at one moment.
#[derive(Debug, Clone)]
pub struct Page {
    pub families: Vec<Family>,
}

impl Page {
    /// Reads a whole page; whatever is wrong with it is a panic that shows the line.
    #[track_caller]
    pub fn parse(text: &str) -> Page {
        assert!(text.ends_with('\n'), "the last line does not end");
        let mut families: Vec<Family> = Vec::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let help = line
                .strip_prefix("# HELP ")
                .unwrap_or_else(|| panic!("no HELP begins the metric: {line}"));
            let (name, help) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let kind = lines
                .next()
                .and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")))
                .unwrap_or_else(|| panic!("no TYPE follows: {line}"));
            let mut family = Family {
                name: name.to_owned(),
                kind: kind.to_owned(),
                help: help.to_owned(),
                samples: Vec::new(),
            };
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                family.samples.push(parse_sample(line));
            }
            check_family(&family);
            assert!(
                families.iter().all(|known| known.name != name),
                "{name} is there twice"
            );
            families.push(family);
        }
        Page { families }
    }

    /// The metric called `name`.
    #[track_caller]
    pub fn family(&self, name: &str) -> &Family {
        let found = self.families.iter().find(|family| family.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The value of the one series called `name` that has all of `labels`, if there is one.
    #[track_caller]
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.families.iter().flat_map(|family| &family.samples);
        let mut found = samples.filter(|sample| {
            let has = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).map(String::as_str) == Some(*value)
            };
            sample.name == name && labels.iter().all(has)
        });
        let first = found.next()?;
        assert!(found.next().is_none(), "{name}{labels:?} is several series");
        Some(first.value)
    }

    /// The same, of a series that must be there.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let value = self.find(name, labels);
        value.unwrap_or_else(|| panic!("there is no {name}{labels:?}"))
    }

    /// The names of all series.
    pub fn names(&self) -> BTreeSet<&str> {
        let samples = self.families.iter().flat_map(|family| &family.samples);
        samples.map(|sample| sample.name.as_str()).collect()
    }
}

#[track_caller]
fn parse_sample(line: &str) -> Sample {
    let name_len = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, rest) = line.split_at(name_len);
    assert!(is_name(name), "{line}");
    let (labels, value) = match rest.strip_prefix('{') {
        None => (BTreeMap::new(), rest),
        Some(rest) => parse_labels(line, rest),
    };
    let value = value
        .strip_prefix(' ')
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no value: {line}"));
    Sample {
        name: name.to_owned(),
        labels,
        value,
    }
}

/// The labels at the start of `rest`, and what follows them.
#[track_caller]
fn parse_labels<'a>(line: &str, mut rest: &'a str) -> (BTreeMap<String, String>, &'a str) {
    let mut labels = BTreeMap::new();
    loop {
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        assert!(is_name(key) && !key.contains(':'), "label {key:?}: {line}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("open label: {line}")) {
                (end, '"') => break end + 1,
                (_, '\\') => match chars.next().unwrap_or_else(|| panic!("{line}")).1 {
                    'n' => value.push('\n'),
                    escaped @ ('\\' | '"') => value.push(escaped),
                    other => panic!("escaped {other:?}: {line}"),
                },
                (_, char) => value.push(char),
            }
        };
        let known = labels.insert(key.to_owned(), value);
        assert!(known.is_none(), "label {key} is there twice: {line}");
        rest = &after[end..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let rest = rest.strip_prefix('}').unwrap_or_else(|| panic!("{line}"));
    (labels, rest)
}

fn is_name(name: &str) -> bool {
    let allowed = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    name.chars().all(allowed) && name.starts_with(|first: char| !first.is_ascii_digit())
}

#[track_caller]
fn check_family(family: &Family) {
    let Family { name, kind, .. } = family;
    assert!(is_name(name), "{name:?}");
    let known = ["counter", "gauge", "histogram"];
    assert!(known.contains(&kind.as_str()), "{name} is a {kind}");
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
    let mut series = BTreeSet::new();
    for sample in &family.samples {
        let new = series.insert((&sample.name, &sample.labels));
        assert!(new, "a series is there twice: {sample:?}");
        match kind.as_str() {
            "histogram" => assert!(
                ["_bucket", "_sum", "_count"]
                    .map(|end| format!("{name}{end}"))
                    .contains(&sample.name),
                "{sample:?} in {name}"
            ),
            "counter" => assert!(sample.name == *name && sample.value >= 0.0, "{sample:?}"),
            _ => assert_eq!(sample.name, *name),
        }
    }
    if kind == "histogram" {
        check_histograms(family);
    }
}

/// Buckets rise, in bound and in count, up to one for everything.
#[track_caller]
fn check_histograms(family: &Family) {
    let bucket = format!("{}_bucket", family.name);
    let count = format!("{}_count", family.name);
    let mut counts = BTreeMap::new();
    let mut last: BTreeMap<BTreeMap<String, String>, (f64, f64)> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        if sample.name == bucket {
            let le = labels.remove("le").and_then(|le| le.parse::<f64>().ok());
            let bound = le.unwrap_or_else(|| panic!("{sample:?}"));
            let (bound_before, before) = last
                .insert(labels, (bound, sample.value))
                .unwrap_or((f64::NEG_INFINITY, 0.0));
            assert!(bound > bound_before && sample.value >= before, "{sample:?}");
        } else if sample.name == count {
            counts.insert(labels, (f64::INFINITY, sample.value));
        }
    }
    assert_eq!(last, counts, "{}", family.name);
}
