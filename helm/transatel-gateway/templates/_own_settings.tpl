{{/* The gateway's settings that the chart sets itself, and the value to use instead of each. */}}
{{- define "transatel-gateway.ownSettings" -}}
admin.listen: listenAddress
grpc.listen: listenAddress and service.port
grpc.tls.cert_file: tls.secret
grpc.tls.key_file: tls.secret
grpc.tls.client_ca_file: tls.clientCaSecret or tls.clientCaConfigMap
sandbox.listen: simulator.enabled
store.url: store.type, and secret.from.storeUrl or store.postgres.url
store.url_file: secret.from.storeUrl
transatel.client_secret: secret.existing or secret.from.clientSecret
transatel.client_secret_file: secret.existing or secret.from.clientSecret
transatel.provider: simulator.enabled
webhook.listen: webhook.enabled
webhook.path: webhook.path
webhook.secret_files: webhook.secretKeys or secret.from.webhookSecrets
{{- end }}

{{/* A sentence for each of them that is given in `config`, as JSON. What is given is not repeated: it may be a secret. */}}
{{- define "transatel-gateway.ownSettingsGiven" -}}
{{- $sentences := list -}}
{{- range $setting, $instead := include "transatel-gateway.ownSettings" . | fromYaml -}}
{{- $at := $.Values.config -}}
{{- $given := true -}}
{{- range splitList "." $setting -}}
{{- if $given }}{{ $given = and (kindIs "map" $at) (hasKey $at .) }}{{ end -}}
{{- if $given }}{{ $at = get $at . }}{{ end -}}
{{- end -}}
{{- if and $given (not (kindIs "invalid" $at)) -}}
{{- $sentences = append $sentences (printf "config.%s is set by the chart: use %s." $setting $instead) -}}
{{- end -}}
{{- end -}}
{{ toJson $sentences }}
{{- end }}
