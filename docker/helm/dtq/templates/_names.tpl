{{/* The name with which everything of a release begins. */}}
{{- define "dtq.name" -}}
{{- if contains "dtq" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-dtq{{ end }}
{{- end }}

{{/* The labels by which one component of a release is told from all else. Takes root and component. */}}
{{- define "dtq.selector" -}}
app.kubernetes.io/name: dtq
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All labels of an object. Takes root and component. */}}
{{- define "dtq.labels" -}}
{{ include "dtq.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* The pools of workers, by name, each with its defaults filled in. */}}
{{- define "dtq.pools" -}}
{{- $pools := dict }}
{{- range $pool, $own := .Values.workers }}
{{- $_ := set $pools $pool (mustMergeOverwrite (deepCopy $.Values.workerDefaults) (deepCopy $own)) }}
{{- end }}
{{- toYaml $pools }}
{{- end }}

{{/* The component label of a pool. */}}
{{- define "dtq.poolComponent" -}}
worker-{{ . }}
{{- end }}
