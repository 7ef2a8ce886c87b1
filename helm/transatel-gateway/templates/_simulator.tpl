{{- /* What a gateway whose provider is the simulator is set to. None of it is a secret. */}}

{{- define "transatel-gateway.simulated" -}}
provider: simulator
base_url: http://{{ include "transatel-gateway.fullname" . }}-simulator.{{ .Release.Namespace }}.svc:8080
client_id: sandbox
client_secret: sandbox-secret
{{- end }}

{{/* What `config.transatel` may change. */}}
{{- define "transatel-gateway.simulatedDefaults" -}}
mvno_ref: M2MA_WW_TSL_SANDBOX
rate_plan: M2MA_WW_TSL_BUNDLES_1
empty_label: clears
enabled_operations: [CancelRenewal, TerminateSubscription, ActivateSim, SuspendSim, ReactivateSim, TerminateSim, UpdateSim, SwapSim]
{{- end }}
