{{- /* What the tests have in common. */}}

{{- define "transatel-gateway.testMetadata" -}}
labels:
  {{- $labels := mergeOverwrite (deepCopy (.Values.tests.podLabels | default dict)) (include "transatel-gateway.partLabels" (list . "test") | fromYaml) }}
  {{- toYaml $labels | nindent 2 }}
annotations:
  {{- $hook := dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation" }}
  {{- mergeOverwrite (deepCopy (.Values.tests.podAnnotations | default dict)) $hook | toYaml | nindent 2 }}
{{- end }}

{{/* Before the pods, and gone with them. */}}
{{- define "transatel-gateway.testPolicyMetadata" -}}
labels:
  {{- include "transatel-gateway.partLabels" (list . "test") | nindent 2 }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-weight: "-1"
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end }}

{{- define "transatel-gateway.testSpec" -}}
restartPolicy: Never
activeDeadlineSeconds: 300
{{ include "transatel-gateway.account" . }}
{{- with include "transatel-gateway.context" . | trim }}
{{ . }}
{{- end }}
{{- with include "transatel-gateway.placing" . | trim }}
{{ . }}
{{- end }}
{{- end }}

{{- define "transatel-gateway.testContainer" -}}
image: {{ include "transatel-gateway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}
