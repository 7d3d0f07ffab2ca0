{{- define "kennel.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "kennel.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains (include "kennel.name" .) .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kennel.name" .) | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kennel.selector" -}}
app.kubernetes.io/name: {{ include "kennel.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kennel.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "kennel.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "kennel.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "kennel.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kennel.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kennel.secret" -}}
{{- default (printf "%s-keys" (include "kennel.fullname" .)) .Values.keys.existingSecret -}}
{{- end -}}

{{- define "kennel.scheme" -}}
{{- ternary "https" "http" (ne .Values.tls.existingSecret "") -}}
{{- end -}}

{{- define "kennel.trainerUrl" -}}
{{ include "kennel.scheme" . }}://{{ include "kennel.fullname" . }}-trainer:{{ .Values.service.port }}
{{- end -}}

{{- define "kennel.policyVersion" -}}
{{- ternary "policy/v1" "policy/v1beta1" (semverCompare ">=1.21.0-0" .Capabilities.KubeVersion.Version) -}}
{{- end -}}

{{- define "kennel.autoscalingVersion" -}}
{{- ternary "autoscaling/v2" "autoscaling/v2beta2" (semverCompare ">=1.23.0-0" .Capabilities.KubeVersion.Version) -}}
{{- end -}}

{{/* kennel.conf of one of the two. */}}
{{- define "kennel.config" -}}
listen = 0.0.0.0:5001
state = /var/lib/kennel
{{- if .root.Values.keys.none }}
allow-remote = true
{{- else }}
keys-file = /etc/kennel-keys/keys
{{- end }}
{{- if .root.Values.tls.existingSecret }}
tls-cert = /etc/kennel-tls/tls.crt
tls-key = /etc/kennel-tls/tls.key
{{- end }}
{{- if .follow }}
follow = {{ include "kennel.trainerUrl" .root }}
{{- if not .root.Values.keys.none }}
follow-key-file = /etc/kennel-keys/follow
{{- end }}
{{- if .root.Values.tls.existingSecret }}
follow-ca = /etc/kennel-tls/ca.crt
{{- end }}
{{- end }}
{{- range $name, $value := .config }}
{{ $name }} = {{ if kindIs "float64" $value }}{{ int64 $value }}{{ else }}{{ $value }}{{ end }}
{{- end }}
{{- end -}}

{{/* The probes, as the workshop's chart had them. */}}
{{- define "kennel.probe" -}}
httpGet: {path: {{ .path }}, port: http, scheme: {{ include "kennel.scheme" .root | upper }}}
periodSeconds: {{ .root.Values.probes.periodSeconds }}
timeoutSeconds: {{ .root.Values.probes.timeoutSeconds }}
failureThreshold: {{ .failures }}
{{- end -}}

{{/* The pod of one of the two: root, component, own (its values), claim (a volume claim's name, or none). */}}
{{- define "kennel.pod" -}}
metadata:
  annotations:
    checksum/config: {{ include "kennel.config" (dict "root" .root "config" .own.config "follow" .follow) | sha256sum }}
    {{- if and (not .root.Values.keys.none) (not .root.Values.keys.existingSecret) }}
    checksum/keys: {{ .root.Values.keys.lines | sha256sum }}
    {{- end }}
    {{- with .own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "kennel.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  serviceAccountName: {{ include "kennel.serviceAccount" .root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 4 }}
  containers:
    - name: kennel
      image: {{ include "kennel.image" .root | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: ["--config", "/etc/kennel/kennel.conf"]
      ports:
        - {name: http, containerPort: 5001, protocol: TCP}
      startupProbe:
        {{- include "kennel.probe" (dict "root" .root "path" "/livez" "failures" .root.Values.probes.startupFailures) | nindent 8 }}
      livenessProbe:
        {{- include "kennel.probe" (dict "root" .root "path" "/livez" "failures" .root.Values.probes.livenessFailures) | nindent 8 }}
      readinessProbe:
        {{- include "kennel.probe" (dict "root" .root "path" "/readyz" "failures" .root.Values.probes.readinessFailures) | nindent 8 }}
      {{- if .drain }}
      lifecycle:
        preStop:
          exec: {command: ["sleep", {{ .drain | quote }}]}
      {{- end }}
      resources: {{- toYaml .own.resources | nindent 8 }}
      securityContext: {{- toYaml .root.Values.securityContext | nindent 8 }}
      volumeMounts:
        - {name: state, mountPath: /var/lib/kennel}
        - {name: tmp, mountPath: /tmp}
        - {name: config, mountPath: /etc/kennel, readOnly: true}
        {{- if not .root.Values.keys.none }}
        - {name: keys, mountPath: /etc/kennel-keys, readOnly: true}
        {{- end }}
        {{- if .root.Values.tls.existingSecret }}
        - {name: tls, mountPath: /etc/kennel-tls, readOnly: true}
        {{- end }}
  volumes:
    {{- with .cache }}
    - name: state
      emptyDir: {sizeLimit: {{ . | quote }}}
    {{- end }}
    - name: tmp
      emptyDir: {}
    - name: config
      configMap:
        name: {{ include "kennel.fullname" .root }}-{{ .component }}
    {{- if not .root.Values.keys.none }}
    - name: keys
      secret:
        secretName: {{ include "kennel.secret" .root }}
        defaultMode: 0440
        items:
          - {key: keys, path: keys}
          {{- if .follow }}
          - {key: follow, path: follow}
          {{- end }}
    {{- end }}
    {{- with .root.Values.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
  {{- with .own.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .own.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .affinity }}
  affinity: {{- . | nindent 4 }}
  {{- end }}
  {{- with .own.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Each scorer on a node of its own, where that can be. */}}
{{- define "kennel.apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "kennel.selector" . | nindent 12 }}
            app.kubernetes.io/component: scorer
{{- end -}}

{{- define "kennel.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}
