//! `identity`: who may do what, beyond what routes declare.
//!
//! Answers come from the provider of the mount that the request came in by. Jobs come in by no mount
//! and get `unsupported`.

use crate::auth::{self, Identity, Scope, User, Users};
use crate::plugin::GuestState;
use crate::plugin::bindings::identity::{Error, Host, TokenInfo};
use crate::plugin::bindings::types;

/// Most ids or names looked up at once.
const MAX_ASKED: usize = 1000;

impl From<&User> for types::UserResult {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.clone(),
            name: user.name.clone(),
            project: user.project.clone(),
            roles: user.roles.clone(),
            extra: user.extra.clone(),
        }
    }
}

impl GuestState {
    fn scope(&self) -> Result<&Scope, Error> {
        self.call.scope.as_deref().ok_or(Error::Unsupported)
    }

    fn find(
        &self,
        asked: &[String],
        find: fn(&Scope, &[String]) -> Option<Users>,
    ) -> Result<Vec<types::UserResult>, Error> {
        if asked.len() > MAX_ASKED {
            return Err(Error::Throttled);
        }
        let found = find(self.scope()?, asked).ok_or(Error::Unsupported)?;
        Ok(found.iter().map(|user| (&**user).into()).collect())
    }
}

impl Host for GuestState {
    async fn allowed(&mut self, rule: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.scope().and_then(|scope| match &self.call.caller {
            Identity::User(user) => Ok(scope.rules.satisfied(&rule, user)),
            Identity::Anonymous | Identity::Rejected(_) => Ok(false),
            Identity::Unverified(why) => Err(Error::Unavailable(why.as_str().to_owned())),
        }))
    }

    async fn challenge(&mut self) -> wasmtime::Result<Result<String, Error>> {
        let challenge = self.scope().map(|scope| scope.provider.challenge(&self.call.caller));
        // Made here, of visible characters.
        Ok(challenge.map(|challenge| challenge.to_str().unwrap_or_default().to_owned()))
    }

    async fn lookup(&mut self, token: String) -> wasmtime::Result<Result<Option<TokenInfo>, Error>> {
        let Some(scope) = self.call.scope.clone() else { return Ok(Err(Error::Unsupported)) };
        if !self.plugin.lookup_rate.take() {
            self.plugin.metrics.refused("lookup-rate");
            return Ok(Err(Error::Throttled));
        }
        let found = self.cpu.waiting(scope.provider.lookup(&token, self.call.local)).await;
        let info = |info: auth::TokenInfo| TokenInfo { user: (&*info.user).into(), expires: info.expires };
        Ok(found.map(|found| found.map(info)).map_err(|why| Error::Unavailable(why.as_str().to_owned())))
    }

    async fn users_by_id(&mut self, ids: Vec<String>) -> wasmtime::Result<Result<Vec<types::UserResult>, Error>> {
        Ok(self.find(&ids, |scope, ids| scope.provider.users_by_id(ids)))
    }

    async fn users_by_name(&mut self, names: Vec<String>) -> wasmtime::Result<Result<Vec<types::UserResult>, Error>> {
        Ok(self.find(&names, |scope, names| scope.provider.users_by_name(names)))
    }
}
