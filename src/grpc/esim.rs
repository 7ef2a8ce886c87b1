//! Handlers of the Esim service.

use tonic::{Request, Response, Status};

use super::layers::deadline;
use super::{convert, parse};
use crate::pb::connectivity::v1 as pb;
use crate::service::Esims;

/// Answers the Esim service.
pub struct Handler(pub Esims);

#[tonic::async_trait]
impl pb::esim_server::Esim for Handler {
    async fn get_esim(
        &self,
        request: Request<pb::GetEsimRequest>,
    ) -> Result<Response<pb::GetEsimResponse>, Status> {
        let deadline = deadline::of(&request);
        let sim = parse::esim::get_esim(request.get_ref())?;
        let with_history = request.get_ref().include_history;
        let esim = self.0.esim(&sim, with_history, deadline).await?;
        Ok(Response::new(pb::GetEsimResponse {
            esim: Some(convert::esim::profile(esim)),
        }))
    }

    async fn get_installation(
        &self,
        request: Request<pb::GetInstallationRequest>,
    ) -> Result<Response<pb::GetInstallationResponse>, Status> {
        let deadline = deadline::of(&request);
        let (sim, picture) = parse::esim::get_installation(request.get_ref())?;
        let installation = self.0.installation(&sim, picture, deadline).await?;
        Ok(Response::new(convert::esim::installation(installation)))
    }
}
