#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = transatel_gateway::fuzzing::run("delivery", bytes);
});
