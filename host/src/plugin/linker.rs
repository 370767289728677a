//! Linking a component to the capabilities it may use.
//!
//! Two linkers are made for a component. The serving one has the real capabilities, with stubs in
//! place of those the operator denied; the describing one has stubs for all, because `describe` runs
//! with every capability denied. A stub answers the `denied` case of its function's error, whatever
//! the interface, and traps where a function has no error to answer with.

use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{Component, HasSelf, Linker, LinkerInstance, ResourceType, Val};
use wasmtime::{Engine, Result, bail};

use super::bindings::{blobs, config, crypto, http_client, identity, jobs, kv, log, process, secrets, system, udp};
use super::contract::{Decisions, INTERFACES, PACKAGE};
use super::state::GuestState;

/// A linker for serving: everything that is there by default or granted, but for what is denied.
pub fn serving(engine: &Engine, component: &Component, decisions: &Decisions) -> Result<Linker<GuestState>> {
    link(engine, component, |interface| decisions.deny.contains(interface))
}

/// A linker for `describe`: logging and (empty) configuration work, all else is denied.
pub fn describing(engine: &Engine, component: &Component) -> Result<Linker<GuestState>> {
    link(engine, component, |interface| !matches!(interface, "log" | "config" | "types" | "descriptor"))
}

fn link(engine: &Engine, component: &Component, denied: impl Fn(&str) -> bool) -> Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    // All of WASI 0.2: `contract` has refused what is not offered, and `GuestState` puts nothing
    // behind the rest.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let ty = component.component_type();
    for (name, _) in INTERFACES {
        if denied(name) {
            let prefix = format!("{PACKAGE}/{name}@");
            let imported = ty.imports(engine).find(|(import, _)| import.starts_with(&prefix));
            if let Some((import, item)) = imported
                && let ComponentItem::ComponentInstance(instance) = &item.ty
            {
                stub(engine, &mut linker.instance(import)?, instance)?;
            }
        } else {
            add(&mut linker, name)?;
        }
    }
    Ok(linker)
}

fn add(linker: &mut Linker<GuestState>, interface: &str) -> Result<()> {
    type Own = HasSelf<GuestState>;
    let state: fn(&mut GuestState) -> &mut GuestState = |state| state;
    match interface {
        "kv" => kv::add_to_linker::<_, Own>(linker, state),
        "blobs" => blobs::add_to_linker::<_, Own>(linker, state),
        "crypto" => crypto::add_to_linker::<_, Own>(linker, state),
        "jobs" => jobs::add_to_linker::<_, Own>(linker, state),
        "identity" => identity::add_to_linker::<_, Own>(linker, state),
        "log" => log::add_to_linker::<_, Own>(linker, state),
        "config" => config::add_to_linker::<_, Own>(linker, state),
        "process" => process::add_to_linker::<_, Own>(linker, state),
        "secrets" => secrets::add_to_linker::<_, Own>(linker, state),
        "http-client" => http_client::add_to_linker::<_, Own>(linker, state),
        "system" => system::add_to_linker::<_, Own>(linker, state),
        "udp" => udp::add_to_linker::<_, Own>(linker, state),
        _ => Ok(()),
    }
}

/// What a stubbed resource stands for: nothing, since no stub ever makes one.
struct Denied;

fn stub(engine: &Engine, linker: &mut LinkerInstance<'_, GuestState>, instance: &ComponentInstance) -> Result<()> {
    for (name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                let function = name.to_owned();
                linker.func_new(name, move |_, ty, _, results| {
                    let Some(answer) = denial(&ty) else {
                        bail!("denied: `{function}` is not available here and has no error to say so with");
                    };
                    if let Some(result) = results.first_mut() {
                        *result = answer;
                    }
                    Ok(())
                })?;
            }
            ComponentItem::Resource(_) => {
                linker.resource(name, ResourceType::host::<Denied>(), |_, _| Ok(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The value `err(denied)` of a function's result, if its error has that case.
fn denial(ty: &ComponentFunc) -> Option<Val> {
    let Some(Type::Result(result)) = ty.results().next() else { return None };
    let Some(Type::Variant(error)) = result.err() else { return None };
    let denied = error.cases().any(|case| case.name == "denied" && case.ty.is_none());
    denied.then(|| Val::Result(Err(Some(Box::new(Val::Variant("denied".into(), None))))))
}
