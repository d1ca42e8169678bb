#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vgi_rpc_fuzz::shared_memory::run(data));
