#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vgi_rpc_fuzz::http_client::run(data));
