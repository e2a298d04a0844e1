{{/* What every pod's metadata and spec begin with. Takes root and component. */}}
{{- define "dtq.pod" -}}
metadata:
  labels: {{- include "dtq.selector" . | nindent 4 }}
spec:
  serviceAccountName: {{ include "dtq.name" .root }}
{{- include "dtq.podSettings" . | nindent 2 }}
  topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "dtq.selector" $ | nindent 10 }}
{{- end }}
{{- end }}

{{/* The part of a pod's spec that the migration shares. Takes root. */}}
{{- define "dtq.podSettings" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: { sizeLimit: 256Mi }
  - name: data
    emptyDir: { sizeLimit: 1Gi }
  - name: secrets
    secret:
      secretName: {{ .root.Values.secret.name }}
      defaultMode: 0440
      items:
{{- range .root.Values.secret.keys }}
        - { key: {{ . }}, path: {{ . }} }
{{- end }}
{{- with .root.Values.certificates.configMap }}
  - name: certificates
    configMap: { name: {{ . }} }
{{- end }}
{{- end }}

{{/* What every container begins with; the caller adds its command, probes and variables. Takes root and resources. */}}
{{- define "dtq.container" -}}
name: dtq
image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
resources: {{- toYaml .resources | nindent 2 }}
volumeMounts:
  - { name: tmp, mountPath: /tmp }
  - { name: data, mountPath: /var/lib/dtq }
  - { name: secrets, mountPath: /run/secrets/dtq, readOnly: true }
{{- if .root.Values.certificates.configMap }}
  - { name: certificates, mountPath: /etc/dtq/certificates, readOnly: true }
{{- end }}
{{- end }}

{{/* The environment of every container. Prometheus asks a pod by its address, so that is among the allowed hosts. Takes root. */}}
{{- define "dtq.environment" -}}
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- { name: DTQ_ENV, value: production }
- { name: DTQ_ALLOWED_HOSTS, value: "{{ join "," .root.Values.hosts }},$(POD_IP)" }
- { name: DTQ_DATA_FOLDER, value: /var/lib/dtq }
{{- range $name, $value := .root.Values.settings }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- range .root.Values.secret.keys }}
- { name: {{ . }}_FILE, value: /run/secrets/dtq/{{ . }} }
{{- end }}
{{- end }}

{{/* The probes of a process without a port: its file is fresh while all of its loops turn. Takes nothing. */}}
{{- define "dtq.healthFileProbes" -}}
startupProbe:
  exec: { command: [dtq-healthcheck, /tmp/health] }
  periodSeconds: 3
  timeoutSeconds: 5
  failureThreshold: 40
livenessProbe:
  exec: { command: [dtq-healthcheck, /tmp/health] }
  periodSeconds: 15
  timeoutSeconds: 5
{{- end }}

{{/* Evictions take one pod of a component at a time, and one that is broken at any time. Takes root, component and name. */}}
{{- define "dtq.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels: {{- include "dtq.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "dtq.selector" . | nindent 6 }}
{{- end }}
