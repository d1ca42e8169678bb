//! A strict parser for the text format of Prometheus.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A name with its labels.
pub type Key = (String, BTreeMap<String, String>);

/// Returns the samples of a page, after checking every rule of the format.
pub fn parse(page: &str) -> HashMap<Key, f64> {
    assert!(page.ends_with('\n'), "the last line ends");
    let mut samples: HashMap<Key, f64> = HashMap::new();
    let (mut families, mut helped) = (BTreeSet::new(), None);
    let mut family: Option<(String, String)> = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && families.insert(name.to_owned()), "{line}");
            (helped, family) = (Some(name.to_owned()), None);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(helped.as_deref(), Some(name), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            family = Some((name.to_owned(), kind.to_owned()));
        } else {
            let (key, value) = sample(line);
            let (name, kind) = family.as_ref().unwrap_or_else(|| panic!("{line}: it belongs to no family"));
            let suffix = key.0.strip_prefix(name.as_str()).unwrap_or_else(|| panic!("{line}: not of {name}"));
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}");
            assert_eq!(key.1.contains_key("le"), suffix == "_bucket", "{line}");
            assert!(value >= 0.0, "{line}");
            assert!(samples.insert(key, value).is_none(), "{line}: twice");
        }
    }
    check_histograms(&samples);
    samples
}

fn sample(line: &str) -> (Key, f64) {
    let end = line.find(|letter: char| !(letter.is_ascii_alphanumeric() || "_:".contains(letter))).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(!name.is_empty() && !name.starts_with(|letter: char| letter.is_ascii_digit()), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            let mut value = String::new();
            let mut letters = after.char_indices();
            let end = loop {
                match letters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match letters.next().unwrap().1 {
                        'n' => '\n',
                        escaped @ ('\\' | '"') => escaped,
                        other => panic!("{line}: \\{other}"),
                    }),
                    (_, letter) => value.push(letter),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap();
    }
    let value = rest.strip_prefix(' ').unwrap();
    ((name.to_owned(), labels), value.parse().unwrap())
}

/// Checks that buckets grow with their bounds, and that the last one contains all values.
fn check_histograms(samples: &HashMap<Key, f64>) {
    let mut buckets: HashMap<Key, Vec<(f64, f64)>> = HashMap::new();
    for ((name, labels), count) in samples {
        if let Some(name) = name.strip_suffix("_bucket") {
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap();
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            buckets.entry((name.to_owned(), labels)).or_default().push((bound, *count));
        }
    }
    for ((name, labels), mut buckets) in buckets {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name} {labels:?}: {buckets:?}");
        let last = buckets.last().unwrap();
        assert_eq!(last.0, f64::INFINITY);
        assert_eq!(Some(&last.1), samples.get(&(format!("{name}_count"), labels.clone())));
        assert!(samples.contains_key(&(format!("{name}_sum"), labels)));
    }
}

#[test]
fn the_parser_refuses_what_is_no_page() {
    let good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\n";
    assert_eq!(parse(good).len(), 1);
    for bad in [
        "a_total 1\n",
        "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\nb_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"\\c\"} 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| parse(bad)).is_err(), "{bad}");
    }
}
