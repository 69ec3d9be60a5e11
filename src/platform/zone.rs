//! The zones of the world, as the runtime knows them.

use celaest_domain::analytics::period::may_be_zone;
use wasm_bindgen::JsValue;
use worker::js_sys::{Array, Function, Object, Reflect, global};

/// Whether there is a zone with this name in the IANA time zone database, however it is written.
pub fn is_zone(name: &str) -> bool {
    // The runtime takes offsets as well, which PostgreSQL reads the other way round.
    may_be_zone(name) && formatted(name).is_some()
}

/// A formatter for the zone: there is none for one that is not known.
fn formatted(name: &str) -> Option<JsValue> {
    let intl = Reflect::get(&global(), &"Intl".into()).ok()?;
    let formatter: Function = Reflect::get(&intl, &"DateTimeFormat".into()).ok()?.into();
    let options = Object::new();
    Reflect::set(&options, &"timeZone".into(), &name.into()).ok()?;
    Reflect::construct(&formatter, &Array::of2(&"en".into(), &options)).ok()
}
