//! Empty: a package needs a target other than tests. Its test checks the errors of the macros.
