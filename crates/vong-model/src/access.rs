//! Who may do what. Every door passes a [`Principal`] to [`authorize`] or [`authorize_camera`];
//! nothing else decides.
//!
//! A principal of another agency sees of cameras what was granted to that agency. Until there are
//! accounts every caller is [`Principal::local`], who belongs to the centre: the check stands at
//! every door of live pictures and footage, and has nobody to refuse yet.

use std::sync::Arc;

use crate::assets::Camera;
use crate::grants::Right;

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
    /// `None`: of the centre itself.
    agency: Option<Arc<str>>,
}

impl Principal {
    pub fn new(name: &str, roles: &[Role]) -> Self {
        Self { name: Arc::from(name), roles: Arc::from(roles), agency: None }
    }

    /// The same, acting for another agency, as `police`.
    #[must_use]
    pub fn of_agency(self, agency: &str) -> Self {
        Self { agency: Some(Arc::from(agency)), ..self }
    }

    /// For a door that has decided itself and only needs history to answer: the same principal,
    /// who may ask in SQL and do nothing else.
    #[must_use]
    pub fn asking(&self) -> Self {
        Self { roles: Arc::from([Role::Analyst]), ..self.clone() }
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

    pub fn agency(&self) -> Option<&str> {
        self.agency.as_deref()
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
    /// Decides what a clip shows.
    ReviewClip,
    ViewVideo,
    ExportClip,
    /// Ends what keeps footage from being deleted.
    ReleaseHold,
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
        Action::ReviewClip => &[Role::Reviewer, Role::Admin],
        Action::ChangeRules | Action::ProbeCamera | Action::ReleaseHold => &[Role::Admin],
        Action::ViewVideo => &[Role::Wall, Role::Operator, Role::Reviewer, Role::Admin],
        Action::ExportClip => &[Role::Operator, Role::Reviewer, Role::Admin],
        Action::ViewSystem => &[Role::Admin, Role::Operator, Role::Auditor],
    };
    if allowed.iter().any(|role| principal.has(*role)) {
        return Ok(());
    }
    Err(AccessDenied { principal: principal.name().to_owned(), action, object: object.to_owned() })
}

/// As [`authorize`], and whether the camera was granted to the principal's agency.
///
/// `camera` is `None` for one that is no longer in the register: only the centre sees its footage.
pub fn authorize_camera(
    principal: &Principal,
    action: Action,
    (camera_id, camera): (&str, Option<&Camera>),
) -> Result<(), AccessDenied> {
    authorize(principal, action, camera_id)?;
    let Some(agency) = principal.agency() else { return Ok(()) };
    let needed = if action == Action::ViewLive { Right::Live } else { Right::Clip };
    if camera.is_some_and(|camera| camera.grants.allow(agency, needed)) {
        return Ok(());
    }
    let (principal, object) = (principal.name().to_owned(), camera_id.to_owned());
    Err(AccessDenied { principal, action, object })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agency_sees_what_it_was_granted_and_the_centre_sees_all() {
        let camera = Camera {
            camera_id: "CAM-01".into(),
            grants: "police:clip;transport:live".parse().unwrap(),
            ..Camera::default()
        };
        let may = |principal: &Principal, action| {
            authorize_camera(principal, action, ("CAM-01", Some(&camera))).is_ok()
        };
        let reviewer = Principal::new("r", &[Role::Reviewer]);
        let police = reviewer.clone().of_agency("police");
        let transport = reviewer.clone().of_agency("transport");
        let press = reviewer.clone().of_agency("press");
        for (principal, told) in [
            (&reviewer, [true, true, true]),
            (&police, [true, true, true]),
            (&transport, [true, false, false]),
            (&press, [false, false, false]),
        ] {
            let actions = [Action::ViewLive, Action::ViewVideo, Action::ExportClip];
            assert_eq!(actions.map(|action| may(principal, action)), told, "{principal:?}");
        }
        let gone = ("CAM-09", None);
        assert!(authorize_camera(&reviewer, Action::ViewVideo, gone).is_ok());
        assert!(authorize_camera(&police, Action::ViewVideo, gone).is_err());
        // A grant is no role.
        let analyst = Principal::new("a", &[Role::Analyst]).of_agency("police");
        assert!(!may(&analyst, Action::ViewVideo));
    }

    #[test]
    fn a_wall_sees_but_does_not_act() {
        let wall = Principal::new("wall-1", &[Role::Wall]);
        assert!(authorize(&wall, Action::ViewLive, "*").is_ok());
        assert!(authorize(&wall, Action::ActOnAlert, "a1").is_err());
        assert!(authorize(&wall, Action::QuerySql, "*").is_err());
    }

    #[test]
    fn whoever_takes_footage_away_does_not_let_go_of_it() {
        let operator = Principal::new("o", &[Role::Operator, Role::Reviewer]);
        assert!(authorize(&operator, Action::ExportClip, "*").is_ok());
        assert!(authorize(&operator, Action::ReleaseHold, "1").is_err());
        assert!(authorize(&Principal::new("a", &[Role::Admin]), Action::ReleaseHold, "1").is_ok());
    }
}
