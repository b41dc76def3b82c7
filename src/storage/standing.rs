//! How the node of a data directory stands to its cluster.

use serde::{Deserialize, Serialize};

use crate::identity::{self, ClusterId};

/// Whether a node takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It waits to be taken in, and elects nobody meanwhile.
    Joining,
    /// It is, or was when it last heard of the others, a member.
    Member,
    /// It was removed, for good.
    Removed,
}

/// What the directory says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether the node takes part.
    pub stage: Stage,
    /// The cluster it belongs to, once it knows.
    pub cluster: Option<ClusterId>,
}

impl Standing {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![match self.stage {
            Stage::Joining => 1,
            Stage::Member => 2,
            Stage::Removed => 3,
        }];
        bytes.extend(ClusterId::bytes_of(self.cluster));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Standing> {
        let (stage, cluster) = bytes.split_first()?;
        Some(Standing {
            stage: match stage {
                1 => Stage::Joining,
                2 => Stage::Member,
                3 => Stage::Removed,
                _ => return None,
            },
            cluster: ClusterId::from_bytes(<[u8; identity::LEN]>::try_from(cluster).ok()?),
        })
    }
}
