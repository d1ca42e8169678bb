//! Which crates and modules may import which, the purity of the core, and the links of ARCHITECTURE.md.

mod architecture;
mod layers;
mod purity;
