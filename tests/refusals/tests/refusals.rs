//! Errors of the macros, which point at the author's tokens.

#[test]
fn mistakes_are_refused_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
