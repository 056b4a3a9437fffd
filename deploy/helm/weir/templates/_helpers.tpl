{{- define "weir.name" -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "weir.secret" -}}
{{- .Values.existingSecret | default (include "weir.name" .) -}}
{{- end -}}

{{- define "weir.selector" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* users.txt: a quote in a name or a password is written twice. */ -}}
{{- define "weir.users" -}}
{{- range $name, $secret := .Values.users }}
"{{ $name | replace "\"" "\"\"" }}" "{{ $secret | replace "\"" "\"\"" }}"
{{- end }}
{{- end -}}
