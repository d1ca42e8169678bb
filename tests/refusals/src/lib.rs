//! Nothing: a package needs a target that is no test. Its test shows what the macros refuse.
