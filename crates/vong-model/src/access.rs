//! Who may do what. Every door passes a [`Principal`] to [`authorize`]; nothing else decides.

use std::sync::Arc;

/// What a principal is allowed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A display nobody touches: reads live state.
    Wall,
    /// Acts on alerts.
    Operator,
    /// Reviews footage.
    Reviewer,
    /// Asks history in SQL.
    Analyst,
    Admin,
    Auditor,
}

/// The one on whose behalf something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    name: Arc<str>,
    roles: Arc<[Role]>,
}

impl Principal {
    pub fn new(name: &str, roles: &[Role]) -> Self {
        Self { name: Arc::from(name), roles: Arc::from(roles) }
    }

    /// Whoever reaches the loopback listener of an installation without accounts.
    ///
    /// Such a listener refuses to start on any other address.
    pub fn local() -> Self {
        use Role::{Admin, Analyst, Auditor, Operator, Reviewer, Wall};
        Self::new("local", &[Wall, Operator, Reviewer, Analyst, Admin, Auditor])
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    ViewLive,
    QuerySql,
    ActOnAlert,
    ViewVideo,
    ExportClip,
    ViewSystem,
    ChangeRules,
    ProbeCamera,
}

/// The principal may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{principal}' may not {action:?} on '{object}'")]
pub struct AccessDenied {
    pub principal: String,
    pub action: Action,
    pub object: String,
}

/// Decides whether `principal` may do `action` to `object` (a camera id, an alert id, `*`).
pub fn authorize(principal: &Principal, action: Action, object: &str) -> Result<(), AccessDenied> {
    let allowed: &[Role] = match action {
        Action::ViewLive => &[Role::Wall, Role::Operator, Role::Reviewer, Role::Admin],
        Action::QuerySql => &[Role::Analyst, Role::Operator, Role::Admin, Role::Auditor],
        Action::ActOnAlert => &[Role::Operator, Role::Admin],
        Action::ChangeRules | Action::ProbeCamera => &[Role::Admin],
        Action::ViewVideo => &[Role::Wall, Role::Operator, Role::Reviewer, Role::Admin],
        Action::ExportClip => &[Role::Operator, Role::Reviewer, Role::Admin],
        Action::ViewSystem => &[Role::Admin, Role::Operator, Role::Auditor],
    };
    if allowed.iter().any(|role| principal.has(*role)) {
        return Ok(());
    }
    Err(AccessDenied { principal: principal.name().to_owned(), action, object: object.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_sees_but_does_not_act() {
        let wall = Principal::new("wall-1", &[Role::Wall]);
        assert!(authorize(&wall, Action::ViewLive, "*").is_ok());
        assert!(authorize(&wall, Action::ActOnAlert, "a1").is_err());
        assert!(authorize(&wall, Action::QuerySql, "*").is_err());
    }
}
