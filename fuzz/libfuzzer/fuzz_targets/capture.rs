#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vgi_rpc_fuzz::capture::run(data));
