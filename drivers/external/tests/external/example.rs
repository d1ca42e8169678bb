//! The example's calls succeed, and its large values go through its store, once in each direction.

#[allow(dead_code, reason = "its main function prints")]
#[path = "../../examples/object_store.rs"]
mod object_store;

/// Removes the size of an object from a line, after checking that it is at least this many bytes.
fn sized(line: &str, least: usize) -> String {
    let Some((text, size)) = line.rsplit_once(": ") else { return line.to_owned() };
    let bytes: usize = size.strip_suffix(" bytes").unwrap().parse().unwrap();
    assert!((least..least + 2000).contains(&bytes), "{line}");
    text.to_owned()
}

#[test]
fn what_is_large_goes_through_the_store() {
    let lines = object_store::run().unwrap();
    let expected = [
        ("draw(100) returned 100 bytes", 0),
        ("draw(100000) returned 100000 bytes", 0),
        ("  the store took object 0", 100_000),
        ("  the store gave object 0", 0),
        ("sum of 100000 bytes returned 100000", 0),
        ("  the store took object 1", 100_000),
        ("  the store gave object 1", 0),
        ("play(10000) sent 3 frames", 0),
        ("  the store took object 2", 10_000),
        ("  the store gave object 2", 0),
        ("  the store took object 3", 10_000),
        ("  the store gave object 3", 0),
        ("  the store took object 4", 10_000),
        ("  the store gave object 4", 0),
    ];
    let least = |index: usize| expected.get(index).map_or(0, |(_, least)| *least);
    let found: Vec<_> = lines.iter().enumerate().map(|(index, line)| sized(line, least(index))).collect();
    assert_eq!(found, expected.map(|(line, _)| line));
}
