{{- define "transatel-gateway.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Names of objects: room is left for their own endings. */}}
{{- define "transatel-gateway.fullname" -}}
{{- $name := include "transatel-gateway.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* What selects the pods; never changes. */}}
{{- define "transatel-gateway.selector" -}}
app.kubernetes.io/name: {{ include "transatel-gateway.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of an object. No value replaces what selects. */}}
{{- define "transatel-gateway.labels" -}}
{{ include "transatel-gateway.labelsAnd" (list . dict) }}
{{- end }}

{{/* The same with more labels: a list of the chart and those. */}}
{{- define "transatel-gateway.labelsAnd" -}}
{{- $root := index . 0 -}}
{{- $own := dict "app.kubernetes.io/version" $root.Chart.AppVersion "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- $selector := include "transatel-gateway.selector" $root | fromYaml -}}
{{ mergeOverwrite $own (deepCopy ($root.Values.commonLabels | default dict)) (deepCopy (index . 1 | default dict)) $selector | toYaml }}
{{- end }}

{{/* Labels of the pods: nothing that changes with the chart's version only. */}}
{{- define "transatel-gateway.podLabels" -}}
{{- $selector := include "transatel-gateway.selector" . | fromYaml -}}
{{ mergeOverwrite (deepCopy (.Values.commonLabels | default dict)) (deepCopy (.Values.podLabels | default dict)) $selector | toYaml }}
{{- end }}

{{/* The families of addresses that a Service has. */}}
{{- define "transatel-gateway.families" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Variables of the container: those of `extraEnv` replace the chart's by name. */}}
{{- define "transatel-gateway.env" -}}
{{- $env := list -}}
{{- $named := dict -}}
{{- range .Values.extraEnv }}{{ $_ := set $named .name true }}{{ end -}}
{{- $ports := dict "GATEWAY__GRPC__LISTEN" 50051 "GATEWAY__ADMIN__LISTEN" 9090 -}}
{{- if .Values.webhook.enabled }}{{ $_ := set $ports "GATEWAY__WEBHOOK__LISTEN" 8080 }}{{ end -}}
{{- range $name, $port := $ports -}}
{{- if not (hasKey $named $name) -}}
{{- $env = append $env (dict "name" $name "value" (printf "%s:%d" $.Values.listenAddress (int $port))) -}}
{{- end -}}
{{- end -}}
{{- concat $env (.Values.extraEnv | default list) | toYaml }}
{{- end }}

{{/* A probe: a list of its values and the handler that it has unless they name another. */}}
{{- define "transatel-gateway.probe" -}}
{{- $probe := deepCopy (index . 0) -}}
{{- if not (or $probe.httpGet $probe.grpc $probe.tcpSocket $probe.exec) }}{{ $probe = merge $probe (index . 1) }}{{ end -}}
{{ toYaml $probe }}
{{- end }}

{{- define "transatel-gateway.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "transatel-gateway.serviceAccount" -}}
{{- $made := include "transatel-gateway.fullname" . -}}
{{ .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary $made "default") }}
{{- end }}

{{- define "transatel-gateway.secret" -}}
{{ .Values.secret.existing | default (include "transatel-gateway.fullname" .) }}
{{- end }}

{{- define "transatel-gateway.claim" -}}
{{ .Values.store.sqlite.existingClaim | default (printf "%s-ledger" (include "transatel-gateway.fullname" .)) }}
{{- end }}

{{/* Whether there is an authority of the PostgreSQL: "true" or nothing. */}}
{{- define "transatel-gateway.storeCa" -}}
{{- $ca := .Values.store.postgres.ca -}}
{{- if and (eq .Values.store.type "postgres") (or $ca.secret $ca.configMap) }}true{{ end }}
{{- end }}

{{/* Whether another than the chart sets the number of pods: "true" or nothing. */}}
{{- define "transatel-gateway.scaled" -}}
{{- if or .Values.autoscaling.enabled (kindIs "invalid" .Values.replicas) }}true{{ end }}
{{- end }}

{{/* Whether there may be more than one pod: "true" or nothing. */}}
{{- define "transatel-gateway.many" -}}
{{- if or (include "transatel-gateway.scaled" .) (gt (int .Values.replicas) 1) }}true{{ end }}
{{- end }}

{{/*
The number of pods to ask for, or nothing. What another sets is not touched: the
number that the Deployment has. Without it Kubernetes would take 1 until that
other looks again, and three pods would go through one.
*/}}
{{- define "transatel-gateway.replicas" -}}
{{- if include "transatel-gateway.scaled" . -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (include "transatel-gateway.fullname" .) }}{{ .spec.replicas }}{{ end -}}
{{- else }}{{ .Values.replicas }}{{ end -}}
{{- end }}

{{/* Secret with the certificate of the gRPC port. */}}
{{- define "transatel-gateway.tlsSecret" -}}
{{ .Values.tls.secret | default (printf "%s-tls" (include "transatel-gateway.fullname" .)) }}
{{- end }}

{{/*
The credentials as JSON: for what each is, the Secret and key that it comes from, and
the file that it becomes. `own` are those of the one Secret.
*/}}
{{- define "transatel-gateway.credentials" -}}
{{- $from := .Values.secret.from -}}
{{- $keys := .Values.secret.keys -}}
{{- $main := include "transatel-gateway.secret" . -}}
{{- $all := list -}}
{{- if not .Values.simulator.enabled }}{{ $all = append $all (list "client" $from.clientSecret $keys.clientSecret "client-secret") }}{{ end -}}
{{- if eq .Values.store.type "postgres" -}}
{{- if not .Values.store.postgres.url }}{{ $all = append $all (list "url" $from.storeUrl $keys.storeUrl "store-url") }}{{ end -}}
{{- if $from.storePassword }}{{ $all = append $all (list "password" $from.storePassword "" "store-password") }}{{ end -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}
{{- range $at, $one := $from.webhookSecrets }}{{ $all = append $all (list "webhook" $one "" (printf "webhook-%d" $at)) }}{{ end -}}
{{- if not $from.webhookSecrets }}{{ range .Values.webhook.secretKeys }}{{ $all = append $all (list "webhook" dict . "") }}{{ end }}{{ end -}}
{{- end -}}
{{- $out := list -}}
{{- range $all -}}
{{- $elsewhere := index . 1 -}}
{{- if $elsewhere -}}
{{- $out = append $out (dict "for" (index . 0) "own" false "secret" $elsewhere.name "key" $elsewhere.key "file" (index . 3)) -}}
{{- else -}}
{{- $out = append $out (dict "for" (index . 0) "own" true "secret" $main "key" (index . 2) "file" (index . 2)) -}}
{{- end -}}
{{- end -}}
{{ $out | toJson }}
{{- end }}

{{/* Keys of the one Secret that are used, as JSON. */}}
{{- define "transatel-gateway.keys" -}}
{{- $keys := list -}}
{{- range include "transatel-gateway.credentials" . | fromJsonArray }}{{ if .own }}{{ $keys = append $keys .key }}{{ end }}{{ end -}}
{{ $keys | toJson }}
{{- end }}

{{/* Whether the chart makes the Secret: "true" or nothing. */}}
{{- define "transatel-gateway.makesSecret" -}}
{{- if and (not .Values.secret.existing) (include "transatel-gateway.keys" . | fromJsonArray) }}true{{ end }}
{{- end }}

{{/* Seconds of a duration such as `1h 30m`, rounded up. */}}
{{- define "transatel-gateway.seconds" -}}
{{- $milliseconds := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" .) (get $milliseconds (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{ div (add $sum 999) 1000 }}
{{- end }}

{{/*
From SIGTERM to the end: the phases that are settings, and 10 s for what is
closed behind them, at most 8 s by the gateway's own bounds (app::CLOSING).
*/}}
{{- define "transatel-gateway.gracePeriod" -}}
{{- $sum := 10 -}}
{{- range list "propagation_delay" "drain" "order_drain" -}}
{{- $sum = add $sum (include "transatel-gateway.seconds" (get $.Values.config.shutdown .)) -}}
{{- end -}}
{{ $sum }}
{{- end }}

{{/*
A table as TOML: strings, numbers and lists read the same in JSON, and Helm's
own toToml would write whole numbers as fractions.
*/}}
{{- define "transatel-gateway.toml" -}}
{{- $path := .path -}}
{{- if and $path .table }}
[{{ $path }}]
{{- end }}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "transatel-gateway.key" $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $name := include "transatel-gateway.key" $key }}
{{- include "transatel-gateway.toml" (dict "path" ($path | empty | ternary $name (printf "%s.%s" $path $name)) "table" $value) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "transatel-gateway.key" -}}
{{ regexMatch "^[A-Za-z0-9_-]+$" . | ternary . (toJson .) }}
{{- end }}

{{/* The gateway's configuration file. */}}
{{- define "transatel-gateway.config" -}}
{{- $secret := "/etc/transatel-gateway/secret" -}}
{{- $files := dict -}}
{{- range include "transatel-gateway.credentials" . | fromJsonArray -}}
{{- $_ := set $files .for (append (get $files .for | default list) (printf "%s/%s" $secret .file)) -}}
{{- end -}}
{{- $given := deepCopy .Values.config -}}
{{- $own := dict -}}
{{- if .Values.simulator.enabled -}}
{{- $_ := set $own "transatel" (include "transatel-gateway.simulated" . | fromYaml) -}}
{{- $given = merge $given (dict "transatel" (include "transatel-gateway.simulatedDefaults" . | fromYaml)) -}}
{{- else -}}
{{- $_ := set $own "transatel" (dict "client_secret_file" (first $files.client)) -}}
{{- end -}}
{{- $store := dict -}}
{{- if eq .Values.store.type "sqlite" }}{{ $_ := set $store "url" "sqlite:///data/ledger.db" -}}
{{- else if $files.url }}{{ $_ := set $store "url_file" (first $files.url) -}}
{{- else }}{{ $_ := set $store "url" .Values.store.postgres.url }}{{ end -}}
{{- if $files.password }}{{ $_ := set $store "password_file" (first $files.password) }}{{ end -}}
{{- $_ := set $own "store" $store -}}
{{- if .Values.webhook.enabled -}}
{{- $_ := set $own "webhook" (dict "path" .Values.webhook.path "secret_files" $files.webhook) -}}
{{- end -}}
{{- if .Values.tls.enabled -}}
{{- $tls := dict "cert_file" "/etc/transatel-gateway/tls/tls.crt" "key_file" "/etc/transatel-gateway/tls/tls.key" -}}
{{- if .Values.tls.mutual }}{{ $_ := set $tls "client_ca_file" "/etc/transatel-gateway/client-ca/ca.crt" }}{{ end -}}
{{- $_ := set $own "grpc" (dict "tls" $tls) -}}
{{- end -}}
{{- include "transatel-gateway.toml" (dict "path" "" "table" (mergeOverwrite $given $own)) | trim }}
{{- end }}

{{/* How often names are in a list that has them more than once, as JSON. */}}
{{- define "transatel-gateway.repeated" -}}
{{- $times := dict -}}
{{- range . }}{{ $_ := set $times .name (add 1 (get $times .name | default 0)) }}{{ end -}}
{{- $repeated := dict -}}
{{- range $name, $count := $times }}{{ if gt (int $count) 1 }}{{ $_ := set $repeated $name $count }}{{ end }}{{ end -}}
{{ toJson $repeated }}
{{- end }}

{{/* Refuses what cannot work: everything at once, one sentence each. */}}
{{- define "transatel-gateway.check" -}}
{{- $config := .Values.config -}}
{{- $problems := list -}}
{{- if and (not $config.transatel.client_id) (not .Values.simulator.enabled) -}}
{{- $problems = append $problems "config.transatel.client_id is required: the client id that Transatel issued." -}}
{{- end -}}
{{- if and (eq .Values.store.type "sqlite") .Values.autoscaling.enabled -}}
{{- $problems = append $problems "autoscaling needs store.type \"postgres\": a SQLite ledger is for one pod." -}}
{{- end -}}
{{- if and (eq .Values.store.type "sqlite") (kindIs "invalid" .Values.replicas) -}}
{{- $problems = append $problems "replicas is null, and a SQLite ledger is for one pod: set replicas to 1, or store.type to \"postgres\"." -}}
{{- end -}}
{{- if and (eq .Values.store.type "sqlite") (gt (int .Values.replicas) 1) -}}
{{- $problems = append $problems (printf "replicas is %d, and a SQLite ledger is for one pod: set store.type to \"postgres\"." (int .Values.replicas)) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- $problems = append $problems "autoscaling.minReplicas is more than autoscaling.maxReplicas." -}}
{{- end -}}
{{- if and .Values.tls.enabled (not .Values.tls.secret) (not .Values.tls.certificate.enabled) -}}
{{- $problems = append $problems "tls.enabled needs tls.secret: the Secret with tls.crt and tls.key." -}}
{{- end -}}
{{- if and .Values.tls.certificate.enabled (not .Values.tls.enabled) -}}
{{- $problems = append $problems "tls.certificate.enabled needs tls.enabled." -}}
{{- end -}}
{{- if and .Values.tls.certificate.enabled (not .Values.tls.certificate.issuerRef.name) -}}
{{- $problems = append $problems "tls.certificate.enabled needs tls.certificate.issuerRef.name: who issues it." -}}
{{- end -}}
{{- if and .Values.tls.clientCaSecret .Values.tls.clientCaConfigMap -}}
{{- $problems = append $problems "set either tls.clientCaSecret or tls.clientCaConfigMap, not both." -}}
{{- end -}}
{{- if and .Values.tests.tls.caSecret .Values.tests.tls.caConfigMap -}}
{{- $problems = append $problems "set either tests.tls.caSecret or tests.tls.caConfigMap, not both." -}}
{{- end -}}
{{- if and .Values.store.postgres.ca.secret .Values.store.postgres.ca.configMap -}}
{{- $problems = append $problems "set either store.postgres.ca.secret or store.postgres.ca.configMap, not both." -}}
{{- end -}}
{{- with .Values.store.postgres -}}
{{- if and (eq $.Values.store.type "sqlite") (or .url .ca.secret .ca.configMap $.Values.secret.from.storeUrl $.Values.secret.from.storePassword) -}}
{{- $problems = append $problems "store.postgres, secret.from.storeUrl and secret.from.storePassword are for store.type \"postgres\": set that, or leave them empty." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.secret.from.webhookSecrets (not .Values.webhook.enabled) -}}
{{- $problems = append $problems "secret.from.webhookSecrets needs webhook.enabled." -}}
{{- end -}}
{{- if and .Values.store.postgres.url .Values.secret.from.storeUrl -}}
{{- $problems = append $problems "set either store.postgres.url or secret.from.storeUrl, not both." -}}
{{- end -}}
{{- if or (regexMatch "^[a-z]+://[^/@]*:[^/@]*@" .Values.store.postgres.url) (regexMatch "[?& ]?password=" .Values.store.postgres.url) -}}
{{- $problems = append $problems "store.postgres.url holds a password, which would stay in the release: name its Secret in secret.from.storePassword." -}}
{{- end -}}
{{- if and .Values.tls.mutual (not .Values.tls.enabled) -}}
{{- $problems = append $problems "tls.mutual needs tls.enabled." -}}
{{- end -}}
{{- if and .Values.webhook.ingress.enabled (not .Values.webhook.enabled) -}}
{{- $problems = append $problems "webhook.ingress.enabled needs webhook.enabled." -}}
{{- end -}}
{{- if and .Values.webhook.ingress.enabled (not .Values.webhook.ingress.host) -}}
{{- $problems = append $problems "webhook.ingress.enabled needs webhook.ingress.host." -}}
{{- end -}}
{{- if and .Values.webhook.httpRoute.enabled (not .Values.webhook.enabled) -}}
{{- $problems = append $problems "webhook.httpRoute.enabled needs webhook.enabled." -}}
{{- end -}}
{{- if and .Values.webhook.httpRoute.enabled (not .Values.webhook.httpRoute.parentRefs) -}}
{{- $problems = append $problems "webhook.httpRoute.enabled needs webhook.httpRoute.parentRefs: the Gateway that it is attached to." -}}
{{- end -}}
{{- if and .Values.service.grpcRoute.enabled (not .Values.service.grpcRoute.parentRefs) -}}
{{- $problems = append $problems "service.grpcRoute.enabled needs service.grpcRoute.parentRefs: the Gateway that it is attached to." -}}
{{- end -}}
{{- if and .Values.metrics.alerts.enabled (not (or .Values.metrics.serviceMonitor.enabled .Values.metrics.alerts.selector)) -}}
{{- $problems = append $problems "metrics.alerts.enabled needs metrics.serviceMonitor.enabled, or metrics.alerts.selector for series that come in another way." -}}
{{- end -}}
{{- if .Values.simulator.enabled -}}
{{- $unused := and .Values.secret.existing (not (include "transatel-gateway.keys" . | fromJsonArray)) -}}
{{- $variable := false -}}
{{- range .Values.extraEnv }}{{ if has .name (list "GATEWAY__TRANSATEL__CLIENT_ID" "GATEWAY__TRANSATEL__BASE_URL" "GATEWAY__TRANSATEL__CLIENT_SECRET" "GATEWAY__TRANSATEL__CLIENT_SECRET_FILE") }}{{ $variable = true }}{{ end }}{{ end -}}
{{- if or $config.transatel.client_id $config.transatel.base_url .Values.secret.from.clientSecret (hasKey (.Values.secret.data | default dict) .Values.secret.keys.clientSecret) $unused $variable -}}
{{- $problems = append $problems "simulator.enabled is for a release without an account: leave config.transatel.client_id, config.transatel.base_url and the client secret empty, and their variables out of extraEnv." -}}
{{- end -}}
{{- end -}}
{{- $problems = concat $problems (include "transatel-gateway.ownSettingsGiven" . | fromJsonArray) -}}
{{- range $name, $times := include "transatel-gateway.repeated" .Values.extraEnv | fromJson -}}
{{- $problems = append $problems (printf "extraEnv has %q %d times." $name (int $times)) -}}
{{- end -}}
{{- if and .Values.secret.existing .Values.secret.data -}}
{{- $problems = append $problems "set either secret.existing or secret.data, not both." -}}
{{- end -}}
{{- if not .Values.secret.existing -}}
{{- range include "transatel-gateway.keys" . | fromJsonArray -}}
{{- if not (get $.Values.secret.data .) -}}
{{- $problems = append $problems (printf "secret.data has no %q: put it there, or name a Secret that has it in secret.existing." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $problems -}}
{{- fail (printf "\n  %s" (join "\n  " .)) -}}
{{- end -}}
{{- end }}
