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
{{ mergeOverwrite $own (deepCopy $root.Values.commonLabels) (deepCopy (index . 1)) $selector | toYaml }}
{{- end }}

{{/* Labels of the pods: nothing that changes with the chart's version only. */}}
{{- define "transatel-gateway.podLabels" -}}
{{- $selector := include "transatel-gateway.selector" . | fromYaml -}}
{{ mergeOverwrite (deepCopy .Values.commonLabels) (deepCopy .Values.podLabels) $selector | toYaml }}
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
{{- concat $env .Values.extraEnv | toYaml }}
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

{{/* Whether there may be more than one pod: "true" or nothing. */}}
{{- define "transatel-gateway.many" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}true{{ end }}
{{- end }}

{{/* Keys of the Secret that are mounted, as JSON. */}}
{{- define "transatel-gateway.keys" -}}
{{- $keys := list .Values.secret.keys.clientSecret -}}
{{- if eq .Values.store.type "postgres" }}{{ $keys = append $keys .Values.secret.keys.storeUrl }}{{ end -}}
{{- if .Values.webhook.enabled }}{{ $keys = concat $keys .Values.webhook.secretKeys }}{{ end -}}
{{ $keys | toJson }}
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
{{- $own := dict "transatel" (dict "client_secret_file" (printf "%s/%s" $secret .Values.secret.keys.clientSecret)) -}}
{{- if eq .Values.store.type "postgres" -}}
{{- $_ := set $own "store" (dict "url_file" (printf "%s/%s" $secret .Values.secret.keys.storeUrl)) -}}
{{- else -}}
{{- $_ := set $own "store" (dict "url" "sqlite:///data/ledger.db") -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}
{{- $files := list -}}
{{- range .Values.webhook.secretKeys }}{{ $files = append $files (printf "%s/%s" $secret .) }}{{ end -}}
{{- $_ := set $own "webhook" (dict "path" .Values.webhook.path "secret_files" $files) -}}
{{- end -}}
{{- if .Values.tls.enabled -}}
{{- $tls := dict "cert_file" "/etc/transatel-gateway/tls/tls.crt" "key_file" "/etc/transatel-gateway/tls/tls.key" -}}
{{- if .Values.tls.mutual }}{{ $_ := set $tls "client_ca_file" "/etc/transatel-gateway/client-ca/ca.crt" }}{{ end -}}
{{- $_ := set $own "grpc" (dict "tls" $tls) -}}
{{- end -}}
{{- include "transatel-gateway.toml" (dict "path" "" "table" (mergeOverwrite (deepCopy .Values.config) $own)) | trim }}
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
{{- if not $config.transatel.client_id -}}
{{- $problems = append $problems "config.transatel.client_id is required: the client id that Transatel issued." -}}
{{- end -}}
{{- if and (eq .Values.store.type "sqlite") .Values.autoscaling.enabled -}}
{{- $problems = append $problems "autoscaling needs store.type \"postgres\": a SQLite ledger is for one pod." -}}
{{- end -}}
{{- if and (eq .Values.store.type "sqlite") (gt (int .Values.replicas) 1) -}}
{{- $problems = append $problems (printf "replicas is %d, and a SQLite ledger is for one pod: set store.type to \"postgres\"." (int .Values.replicas)) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- $problems = append $problems "autoscaling.minReplicas is more than autoscaling.maxReplicas." -}}
{{- end -}}
{{- if and .Values.tls.enabled (not .Values.tls.secret) -}}
{{- $problems = append $problems "tls.enabled needs tls.secret: the Secret with tls.crt and tls.key." -}}
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
{{- if and .Values.metrics.alerts.enabled (not (or .Values.metrics.serviceMonitor.enabled .Values.metrics.alerts.selector)) -}}
{{- $problems = append $problems "metrics.alerts.enabled needs metrics.serviceMonitor.enabled, or metrics.alerts.selector for series that come in another way." -}}
{{- end -}}
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
