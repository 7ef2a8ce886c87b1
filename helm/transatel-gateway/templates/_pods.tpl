{{- /* What the pods of the gateway and those of its tests have in common. */}}

{{/* Who a pod is, and how it resolves names. */}}
{{- define "transatel-gateway.account" -}}
serviceAccountName: {{ include "transatel-gateway.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Security and addresses. */}}
{{- define "transatel-gateway.context" -}}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where a pod runs. */}}
{{- define "transatel-gateway.placing" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Mounts of the settings and credentials: a list of the chart, and whether the ledger is mounted. */}}
{{- define "transatel-gateway.mounts" -}}
{{- $ledger := index . 1 -}}
{{- with index . 0 -}}
- name: config
  mountPath: /etc/transatel-gateway/config
  readOnly: true
{{- if include "transatel-gateway.credentials" . | fromJsonArray }}
- name: secret
  mountPath: /etc/transatel-gateway/secret
  readOnly: true
{{- end }}
{{- if and $ledger (eq .Values.store.type "sqlite") }}
- name: ledger
  mountPath: /data
{{- end }}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: /etc/transatel-gateway/tls
  readOnly: true
{{- end }}
{{- if .Values.tls.mutual }}
- name: client-ca
  mountPath: /etc/transatel-gateway/client-ca
  readOnly: true
{{- end }}
{{- if include "transatel-gateway.storeCa" . }}
- name: store-ca
  mountPath: /etc/transatel-gateway/store-ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}
{{- end }}

{{/* What is mounted by them, of the same list. */}}
{{- define "transatel-gateway.volumes" -}}
{{- $ledger := index . 1 -}}
{{- with index . 0 -}}
- name: config
  configMap:
    name: {{ include "transatel-gateway.fullname" . }}
{{- with include "transatel-gateway.credentials" . | fromJsonArray }}
- name: secret
  projected:
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret:
          name: {{ .secret }}
          items:
            - key: {{ .key }}
              path: {{ .file }}
      {{- end }}
{{- end }}
{{- if and $ledger (eq .Values.store.type "sqlite") }}
- name: ledger
  persistentVolumeClaim:
    claimName: {{ include "transatel-gateway.claim" . }}
{{- end }}
{{- if .Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "transatel-gateway.tlsSecret" . }}
    defaultMode: 0440
    items:
      - key: {{ .Values.tls.certificateKey }}
        path: tls.crt
      - key: {{ .Values.tls.privateKeyKey }}
        path: tls.key
{{- end }}
{{- if .Values.tls.mutual }}
- name: client-ca
  {{- if .Values.tls.clientCaConfigMap }}
  configMap:
    name: {{ .Values.tls.clientCaConfigMap }}
  {{- else }}
  secret:
    secretName: {{ .Values.tls.clientCaSecret | default (include "transatel-gateway.tlsSecret" .) }}
  {{- end }}
    defaultMode: 0440
    items:
      - key: {{ .Values.tls.clientCaKey }}
        path: ca.crt
{{- end }}
{{- if include "transatel-gateway.storeCa" . }}
- name: store-ca
  {{- if .Values.store.postgres.ca.configMap }}
  configMap:
    name: {{ .Values.store.postgres.ca.configMap }}
  {{- else }}
  secret:
    secretName: {{ .Values.store.postgres.ca.secret }}
  {{- end }}
    defaultMode: 0440
    items:
      - key: {{ .Values.store.postgres.ca.key }}
        path: ca.crt
{{- end }}
{{- with .Values.extraVolumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where the gateway may connect to, and every pod that has its settings. */}}
{{- define "transatel-gateway.egress" -}}
{{- with .Values.networkPolicy.dnsPorts }}
# DNS.
- ports:
    {{- range . }}
    - port: {{ . }}
      protocol: UDP
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- if .Values.simulator.enabled }}
# The simulator, and no real provider.
- to:
    - podSelector:
        matchLabels:
          {{- include "transatel-gateway.partSelector" (list . "simulator") | nindent 10 }}
  ports:
    - port: 8080
{{- else }}
{{- with .Values.networkPolicy.provider }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    - port: 443
{{- end }}
{{- end }}
{{- if and (eq .Values.store.type "postgres") .Values.networkPolicy.postgres }}
- to:
    {{- toYaml .Values.networkPolicy.postgres | nindent 4 }}
  ports:
    - port: {{ .Values.networkPolicy.postgresPort }}
{{- end }}
{{- with .Values.config.telemetry.otlp_endpoint }}
{{- $url := urlParse . }}
# The collector, at any address.
- ports:
    - port: {{ regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "https" | ternary "443" "80") }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{/*
Names and labels of what belongs to the release and is not the gateway, such as its
tests: a list of the chart and the part. No Service of the gateway selects it.
*/}}
{{- define "transatel-gateway.partSelector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ printf "%s-%s" (include "transatel-gateway.name" $root) (index . 1) | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- end }}

{{- define "transatel-gateway.partLabels" -}}
{{- $labels := include "transatel-gateway.labels" (index . 0) | fromYaml -}}
{{ mergeOverwrite $labels (include "transatel-gateway.partSelector" . | fromYaml) | toYaml }}
{{- end }}

{{/* Whether a certificate names the test as a caller: "true" or nothing. */}}
{{- define "transatel-gateway.testsNamed" -}}
{{- if and .Values.tls.mutual .Values.tests.tls.secret }}true{{ end }}
{{- end }}

{{/*
Whether `helm test` calls the gateway: "true" or nothing. One that asks for
certificates is called with one only, and so is one whose callers a mesh names: the
test is outside of it.
*/}}
{{- define "transatel-gateway.testsCall" -}}
{{- if and .Values.tests.enabled (or (include "transatel-gateway.testsNamed" .) (not (or .Values.tls.mutual .Values.config.callers.header))) }}true{{ end }}
{{- end }}

{{/* Whether it lists the products, too: "true" or nothing. Health is open to callers without a name. */}}
{{- define "transatel-gateway.testsCatalog" -}}
{{- $callers := .Values.config.callers -}}
{{- $onlyNamed := or $callers.allow (eq (get ($callers.scope | default dict) "*") "own") -}}
{{- if and .Values.tests.catalog (or (include "transatel-gateway.testsNamed" .) (not $onlyNamed)) }}true{{ end }}
{{- end }}
