package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

func customSchemas() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"widget": json.RawMessage(`{"type":"object","properties":{"spec":{"type":"object","properties":{
			"size":{"type":"integer"},"ratio":{"type":"number"},"on":{"type":"boolean"},"name":{"type":"string"},
			"port":{"x-kubernetes-int-or-string":true},
			"parts":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{"type":"object",
				"properties":{"name":{"type":"string"},"count":{"type":"integer"},"tags":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}}}},
			"ports":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["port","protocol"],"items":{"type":"object",
				"properties":{"port":{"type":"integer"},"protocol":{"type":"string","default":"TCP"},"note":{"type":"string"}}}},
			"tags":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}},
			"numbers":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"number"}},
			"plain":{"type":"array","items":{"type":"string"}},
			"whole":{"type":"object","x-kubernetes-map-type":"atomic","properties":{"a":{"type":"string"},"b":{"type":"string"}}},
			"labels":{"type":"object","additionalProperties":{"type":"string"}},
			"nested":{"type":"object","additionalProperties":{"type":"object","properties":{"x":{"type":"integer"},"y":{"type":"integer"}}}},
			"free":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"known":{"type":"string"}}}}},
			"status":{"type":"object","properties":{"phase":{"type":"string"},"seen":{"type":"integer"}}}}}`),
		// Where widget is granular this is atomic, and the other way round.
		"changed": json.RawMessage(`{"type":"object","properties":{"spec":{"type":"object","properties":{
			"size":{"type":"integer"},"name":{"type":"string"},
			"parts":{"type":"array","x-kubernetes-list-type":"atomic","items":{"type":"object",
				"properties":{"name":{"type":"string"},"count":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}}}},
			"tags":{"type":"array","items":{"type":"string"}},
			"plain":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}},
			"whole":{"type":"object","x-kubernetes-map-type":"granular","properties":{"a":{"type":"string"},"b":{"type":"string"}}},
			"labels":{"type":"object","x-kubernetes-map-type":"atomic","additionalProperties":{"type":"string"}},
			"nested":{"type":"object","additionalProperties":{"type":"object","x-kubernetes-map-type":"atomic","properties":{"x":{"type":"integer"},"y":{"type":"integer"}}}}}}}}`),
	}
}

func update(manager, object string) Step {
	return Step{Op: "update", Manager: manager, Object: json.RawMessage(object)}
}
func apply(manager, object string) Step {
	return Step{Op: "apply", Manager: manager, Object: json.RawMessage(object)}
}
func (s Step) forced() Step { s.Force = true; return s }
func (s Step) writing(sub string, only ...string) Step {
	s.Subresource, s.Only = sub, only
	return s
}
func (s Step) under(schema string) Step { s.Schema = schema; return s }
func (s Step) at(version string) Step   { s.Version = version; return s }
func (s Step) through(sub string, reset ...string) Step {
	s.Subresource, s.Reset = sub, reset
	return s
}

const (
	deploymentHead = `"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"n"`
	podHead        = `"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"`
	mapHead        = `"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"n"`
	widgetHead     = `"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"`
)

func deployment(spec string) string { return `{` + deploymentHead + `},"spec":{` + spec + `}}` }
func pod(spec string) string        { return `{` + podHead + `},"spec":{` + spec + `}}` }
func data(pairs string) string      { return `{` + mapHead + `},"data":{` + pairs + `}}` }
func widget(spec string) string     { return `{` + widgetHead + `},"spec":{` + spec + `}}` }

func script(name, kind string, steps ...Step) Script {
	return Script{Name: name, Kind: kind, Steps: steps}
}
func custom(name string, steps ...Step) Script {
	return Script{Name: name, Kind: "Widget", Schema: "widget", Steps: steps}
}

func handWritten() []Script {
	nginx := `"template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"nginx:1"}]}}`
	two := `"template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"nginx:1"},{"name":"b","image":"b:1","ports":[{"containerPort":80},{"containerPort":80,"protocol":"UDP"}]}]}}`
	scripts := []Script{
		script("conflict, then force", "Deployment",
			apply("one", deployment(`"replicas":3,`+nginx)),
			update("two", deployment(`"replicas":5,`+nginx)),
			apply("one", deployment(`"replicas":3,`+nginx)),
			apply("one", deployment(`"replicas":3,`+nginx)).forced(),
			apply("one", deployment(nginx)),
		),
		script("conflicts with several managers", "Deployment",
			apply("one", deployment(`"replicas":3,"paused":true,`+nginx)),
			apply("two", deployment(`"minReadySeconds":4`)),
			update("three", deployment(`"replicas":3,"paused":true,"minReadySeconds":4,"revisionHistoryLimit":2,`+nginx)),
			apply("four", deployment(`"replicas":1,"paused":false,"minReadySeconds":9,"revisionHistoryLimit":8`)),
			apply("four", deployment(`"replicas":1,"minReadySeconds":4,"revisionHistoryLimit":2`)),
		),
		script("containers come and go", "Deployment",
			apply("one", deployment(two)),
			apply("two", deployment(`"template":{"spec":{"containers":[{"name":"b","env":[{"name":"E","value":"1"}]}]}}`)),
			apply("one", deployment(nginx)),
			apply("two", deployment(`"template":{"spec":{"containers":[{"name":"c","image":"c"},{"name":"a"}]}}`)),
			apply("two", deployment(``)),
			apply("one", `{`+deploymentHead+`}}`),
		),
		script("shared ownership is given up one by one", "ConfigMap",
			apply("one", data(`"a":"1","b":"1"`)),
			apply("two", data(`"a":"1","c":"1"`)),
			apply("one", data(`"b":"1"`)),
			apply("two", data(`"c":"2"`)),
			apply("two", `{`+mapHead+`}}`),
		),
		script("an updater takes and removes", "ConfigMap",
			update("one", data(`"a":"1","b":"1"`)),
			update("two", data(`"a":"2","b":"1","c":"1"`)),
			update("two", data(`"b":"1","c":"1"`)),
			update("one", data(`"b":"1","c":"1"`)),
			update("one", `{`+mapHead+`}}`),
		),
		script("before first apply", "ConfigMap",
			update("one", data(`"a":"1"`)),
			Step{Op: "update", Manager: "one", Object: json.RawMessage(strings.Replace(data(`"a":"1"`), `"namespace":"n"`, `"namespace":"n","managedFields":[]`, 1))},
			update("two", data(`"a":"2"`)),
			apply("three", data(`"a":"3"`)),
			apply("three", data(`"b":"3"`)),
			apply("three", data(`"a":"3"`)).forced(),
		),
		script("reset with one empty entry", "ConfigMap",
			update("one", data(`"a":"1"`)),
			Step{Op: "update", Manager: "one", Object: json.RawMessage(strings.Replace(data(`"a":"2"`), `"namespace":"n"`, `"namespace":"n","managedFields":[{}]`, 1))},
		),
		script("entries given by the client", "ConfigMap",
			update("one", data(`"a":"1"`)),
			Step{Op: "update", Manager: "one", Object: json.RawMessage(strings.Replace(data(`"a":"1"`), `"namespace":"n"`,
				`"namespace":"n","managedFields":[{"manager":"else","operation":"Apply","apiVersion":"v1","time":"2000-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}]`, 1))},
			Step{Op: "update", Manager: "one", Object: json.RawMessage(strings.Replace(data(`"a":"1"`), `"namespace":"n"`,
				`"namespace":"n","managedFields":[{"manager":"bad","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV2"}]`, 1))},
			apply("two", data(`"a":"2"`)),
		),
		script("metadata", "Pod",
			apply("one", `{`+podHead+`,"labels":{"a":"1","b":"1"},"annotations":{"x":"<&>"},"finalizers":["f/a","f/b"],"ownerReferences":[{"apiVersion":"v1","kind":"K","name":"o","uid":"u"}]},"spec":{"containers":[{"name":"a"}]}}`),
			apply("two", `{`+podHead+`,"labels":{"a":"1","c":"1"},"finalizers":["f/b","f/c"]}}`),
			apply("one", `{`+podHead+`,"labels":{"b":"1"},"finalizers":["f/a"]},"spec":{"containers":[{"name":"a"}]}}`),
			update("three", `{`+podHead+`,"labels":{"z":"1"},"finalizers":["f/z"]},"spec":{"containers":[{"name":"a"}]}}`),
		),
		script("an object of another kind", "ConfigMap",
			apply("one", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"c"}}`),
			apply("one", `{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"c"}}`),
			apply("one", strings.Replace(data(`"a":"1"`), `"namespace":"n"`, `"namespace":"n","managedFields":[{"manager":"x"}]`, 1)),
		),
		script("a configuration that does not fit", "Deployment",
			apply("one", deployment(`"replicaz":3`)),
			apply("one", deployment(`"replicas":"3"`)),
			apply("one", deployment(`"paused":"yes"`)),
			apply("one", deployment(`"template":{"spec":{"containers":[{"name":"a"},{"name":"a"}]}}`)),
			apply("one", deployment(`"template":{"spec":{"containers":{"name":"a"}}}`)),
			apply("one", deployment(`"template":{"spec":{"containers":[null]}}`)),
			apply("one", deployment(`"template":{"spec":{"containers":[{"name":"a","ports":[{"containerPort":80},{"containerPort":80,"protocol":"TCP"}]}]}}`)),
			apply("one", deployment(`"template":{"spec":{"serviceAccountName":5,"nodeName":true}}`)),
			apply("one", deployment(`"template":[]`)),
			apply("one", deployment(`"template":{"spec":{"containers":[{"image":"a"}]}}`)),
		),
		script("status and spec endpoints", "Pod",
			Step{Op: "update", Manager: "client", Reset: []string{"status"}, Object: json.RawMessage(`{` + podHead + `},"spec":{"containers":[{"name":"a","image":"i"}]},"status":{"phase":"Pending"}}`)},
			update("kubelet", `{`+podHead+`},"spec":{"containers":[{"name":"a","image":"i"}]},"status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"False"},{"type":"Initialized","status":"True"}]}}`).through("status", "spec"),
			update("kubelet", `{`+podHead+`},"spec":{"containers":[{"name":"a","image":"i"}]},"status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True"},{"type":"Initialized","status":"True"}]}}`).through("status", "spec"),
			update("kubelet", `{`+podHead+`},"spec":{"containers":[{"name":"a","image":"i"}]},"status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True"},{"type":"Initialized","status":"True"}]}}`).through("status", "spec"),
			apply("other", `{`+podHead+`},"status":{"phase":"Failed"}}`).through("status", "spec"),
			apply("other", `{`+podHead+`},"status":{"reason":"Because"},"spec":{"nodeName":"x"}}`).through("status", "spec"),
			Step{Op: "apply", Manager: "client", Reset: []string{"status"}, Object: json.RawMessage(`{` + podHead + `},"spec":{"containers":[{"name":"a","image":"i"}]},"status":{"phase":"Failed"}}`)},
		),
		script("endpoints that write some fields", "Pod",
			update("client", pod(`"containers":[{"name":"a","image":"i"},{"name":"b"}]`)),
			update("debugger", `{`+podHead+`,"labels":{"a":"b"}},"spec":{"nodeName":"n","containers":[{"name":"a","image":"i"},{"name":"b"}],"ephemeralContainers":[{"name":"e","image":"x"}]}}`).writing("ephemeralcontainers", "spec/ephemeralContainers"),
			update("resizer", pod(`"containers":[{"name":"a","image":"j","resources":{"limits":{"cpu":"1"}},"resizePolicy":[{"resourceName":"cpu","restartPolicy":"NotRequired"}]},{"name":"b"}],"ephemeralContainers":[{"name":"e","image":"y"}]`)).writing("resize", "spec/containers/*/resources", "spec/containers/*/resizePolicy", "spec/initContainers/*/resources"),
			apply("other", pod(`"containers":[{"name":"a","image":"k","resources":{"limits":{"cpu":"2"}}}]`)).writing("resize", "spec/containers/*/resources", "spec/containers/*/resizePolicy"),
			apply("other", pod(`"containers":[{"name":"a","image":"k","resources":{"limits":{"cpu":"2"}}}]`)).writing("resize", "spec/containers/*/resources", "spec/containers/*/resizePolicy").forced(),
		),
		script("service ports", "Service",
			apply("one", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"selector":{"a":"b"},"ports":[{"port":80,"name":"http"},{"port":53,"protocol":"UDP","targetPort":"dns"}]}}`),
			apply("two", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":53,"protocol":"TCP"},{"port":53,"protocol":"UDP","targetPort":"other"}]}}`),
			apply("two", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"selector":{"a":"c"},"ports":[{"port":53,"protocol":"TCP"}]}}`).forced(),
		),
		script("kubectl moves from client-side apply", "ConfigMap",
			update("kubectl-client-side-apply", `{`+mapHead+`,"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"namespace\":\"n\",\"annotations\":{}},\"data\":{\"a\":\"1\",\"b\":\"<1>\"}}\n"}},"data":{"a":"1","b":"<1>"}}`),
			apply("kubectl", data(`"a":"2","b":"<1>"`)),
			update("three", `{`+mapHead+`,"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"a\":\"1\"}}"}},"data":{"a":"3","b":"<1>"}}`),
			apply("kubectl", data(`"a":"4","b":"<1>"`)),
			apply("kubectl", data(`"a":"4","b":"<1>"`)).forced(),
		),
		script("role reference that is always there", "ClusterRoleBinding",
			update("one", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"b"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"r"},"subjects":[{"kind":"User","name":"u","apiGroup":"rbac.authorization.k8s.io"}]}`),
			apply("two", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"b"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"q"}}`),
		),
		script("counters that start at zero", "DaemonSet",
			update("one", `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"x","resources":{"limits":{"cpu":"1"}},"livenessProbe":{"httpGet":{"path":"/","port":"http"}}}],"volumes":[{"name":"v","emptyDir":{}},{"name":"c","configMap":{"name":"m"}}],"tolerations":[{"operator":"Exists"}],"nodeSelector":{"k":"v"}}}}}`),
			update("two", `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"x","resources":{"limits":{"cpu":"1"}},"livenessProbe":{"httpGet":{"path":"/","port":8080}}}],"volumes":[{"name":"c","configMap":{"name":"m"}},{"name":"v","emptyDir":{"medium":"Memory"}}],"tolerations":[{"operator":"Exists"}],"nodeSelector":{"k":"v"}}}},"status":{"currentNumberScheduled":1,"numberMisscheduled":0,"desiredNumberScheduled":2,"numberReady":0}}`),
		),
		script("ingress, webhooks, autoscalers", "Ingress",
			apply("one", `{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i"},"spec":{"rules":[{"host":"h","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"s","port":{"number":80}}}}]}}],"tls":[{"hosts":["h"],"secretName":"t"}],"defaultBackend":{"service":{"name":"d","port":{"name":"http"}}}}}`),
			update("two", `{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i"},"spec":{"rules":[{"host":"g"}],"defaultBackend":{"service":{"name":"e","port":{"name":"http"}}}},"status":{"loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]}}}`),
			apply("one", `{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i"},"spec":{"defaultBackend":{"service":{"name":"e"}}}}`),
		),
		script("webhooks", "ValidatingWebhookConfiguration",
			apply("one", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"v"},"webhooks":[{"name":"a.x.io","clientConfig":{"url":"https://x"},"sideEffects":"None","admissionReviewVersions":["v1"],"rules":[{"operations":["*"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]},{"name":"b.x.io","clientConfig":{"url":"https://y"},"sideEffects":"None","admissionReviewVersions":["v1"]}]}`),
			update("ca", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"v"},"webhooks":[{"name":"a.x.io","clientConfig":{"url":"https://x","caBundle":"YWJj"},"sideEffects":"None","admissionReviewVersions":["v1"],"rules":[{"operations":["*"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]},{"name":"b.x.io","clientConfig":{"url":"https://y"},"sideEffects":"None","admissionReviewVersions":["v1"]}]}`),
			apply("one", `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"v"},"webhooks":[{"name":"b.x.io","clientConfig":{"url":"https://y"},"sideEffects":"None","admissionReviewVersions":["v1"]}]}`),
		),
		script("autoscaler", "HorizontalPodAutoscaler",
			apply("one", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"},"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]}}`),
			update("hpa", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"},"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]},"status":{"desiredReplicas":2,"currentReplicas":1,"currentMetrics":null,"conditions":[{"type":"AbleToScale","status":"True"}]}}`),
		),
		script("node taints and addresses", "Node",
			update("kubelet", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"a":"b"}},"spec":{"podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24"],"taints":[{"key":"k","effect":"NoSchedule"}]},"status":{"addresses":[{"type":"InternalIP","address":"1.1.1.1"},{"type":"Hostname","address":"n"}],"capacity":{"cpu":"4"},"images":[{"names":["a","b"],"sizeBytes":5}],"conditions":[{"type":"Ready","status":"True"}]}}`),
			update("controller", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"a":"b"}},"spec":{"podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24"],"taints":[{"key":"k","effect":"NoSchedule"},{"key":"j","effect":"NoExecute"}]},"status":{"addresses":[{"type":"InternalIP","address":"1.1.1.2"},{"type":"InternalIP","address":"1.1.1.3"}],"capacity":{"cpu":"4"},"conditions":[{"type":"Ready","status":"False"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}}`),
			update("controller", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"a":"b"}},"spec":{"podCIDR":"10.0.0.0/24","podCIDRs":["10.0.0.0/24"]},"status":{"addresses":[{"type":"InternalIP","address":"1.1.1.3"}],"capacity":{"cpu":"4"},"conditions":[{"type":"Ready","status":"False"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}}`),
		),
		custom("every kind of list", apply("one", widget(`"size":1,"ratio":0.5,"on":true,"name":"n","port":80,"parts":[{"name":"a","count":1,"tags":["x"]},{"name":"b"}],"ports":[{"port":80},{"port":80,"protocol":"UDP"}],"tags":["x","y"],"numbers":[1,2.5],"plain":["a","b"],"whole":{"a":"1"},"labels":{"k":"v"},"nested":{"n":{"x":1}},"free":{"known":"k","other":{"deep":[1,{"a":2}]}}`)),
			apply("two", widget(`"port":"http","parts":[{"name":"b","count":2},{"name":"c"},{"name":"a","tags":["y"]}],"tags":["z","x"],"numbers":[2.5,3],"whole":{"b":"2"},"labels":{"l":"w"},"nested":{"n":{"y":2},"m":{}},"free":{"more":1}`)),
			apply("two", widget(`"port":"http","parts":[{"name":"b","count":2},{"name":"c"},{"name":"a","tags":["y"]}],"tags":["z","x"],"numbers":[2.5,3],"whole":{"b":"2"},"labels":{"l":"w"},"nested":{"n":{"y":2},"m":{}},"free":{"more":1}`)).forced(),
			apply("one", widget(`"parts":[{"name":"b"}],"tags":["y"],"free":{}`)),
			update("three", widget(`"size":3,"parts":[{"name":"b"},{"name":"b"}],"tags":["y","y"],"free":{"known":"z"}`)),
			apply("one", widget(`"parts":[{"name":"b","count":7}],"tags":["y"]`)),
			apply("one", widget(`"parts":[{"name":"b","count":7}],"tags":["y"]`)).forced(),
			update("three", widget(`"size":3,"parts":[{"name":"b","count":5}],"tags":["y"],"labels":{},"plain":[]`)),
		),
		custom("nulls", apply("one", widget(`"size":null,"labels":null,"plain":null,"parts":null,"tags":["a"]`)),
			apply("two", widget(`"labels":{"a":null},"tags":null,"whole":null`)),
			update("three", widget(`"size":null,"labels":{"a":"b"},"tags":null,"plain":["x"]`)),
			update("three", widget(`"size":2,"labels":null,"tags":[],"plain":null`)),
		),
		custom("refusals", apply("one", widget(`"parts":[{"count":1}]`)), apply("one", widget(`"tags":["a","a"]`)),
			apply("one", widget(`"unknown":1`)), apply("one", widget(`"tags":[null]`)), apply("one", widget(`"tags":[["a"]]`)),
			apply("one", widget(`"tags":[{"a":1}]`)), apply("one", widget(`"on":1,"size":"x"`)), apply("one", widget(`"labels":["x"]`)),
			apply("one", widget(`"name":{"a":1}`)), apply("one", widget(`"name":[1]`)), apply("one", widget(`"free":"x"`)),
		),
		custom("a schema that changes",
			apply("one", widget(`"parts":[{"name":"a","count":1},{"name":"b"}],"tags":["x"],"plain":["p"],"whole":{"a":"1"},"labels":{"k":"v"},"nested":{"n":{"x":1},"o":{}}`)),
			apply("two", widget(`"parts":[{"name":"a","tags":["t"]}],"tags":["y"],"labels":{"l":"w"},"nested":{"n":{"y":1}},"name":"n"`)),
			update("three", widget(`"size":1,"parts":[{"name":"a","count":1,"tags":["t"]},{"name":"b"}],"tags":["x","y"],"plain":["p"],"whole":{"a":"1"},"labels":{"k":"v","l":"w"},"nested":{"n":{"x":1,"y":1},"o":{}},"name":"n"`)).under("changed"),
			apply("two", widget(`"parts":[{"name":"a","tags":["u"]}],"labels":{"l":"x"},"nested":{"n":{"y":2}},"name":"n"`)).under("changed"),
			apply("two", widget(`"parts":[{"name":"a","tags":["u"]}],"plain":["q"],"labels":{"l":"x"},"nested":{"n":{"y":2}},"name":"n"`)).under("changed").forced(),
			apply("one", widget(`"parts":[{"name":"a","tags":["u"]}],"whole":{"b":"1"}`)).under("changed"),
			apply("one", widget(`"parts":[{"name":"a","count":5}],"plain":["z"]`)).forced(),
		),
		custom("versions", apply("one", widget(`"size":1,"tags":["a"]`)),
			apply("two", strings.Replace(widget(`"name":"n","tags":["b"]`), "/v1", "/v1beta1", 1)).at("v1beta1"),
			update("three", strings.Replace(widget(`"size":2,"name":"m","tags":["b"]`), "/v1", "/v1beta1", 1)).at("v1beta1"),
			update("three", widget(`"size":2,"name":"l","tags":["b"]`)),
			apply("one", strings.Replace(widget(`"tags":["c"]`), "/v1", "/v1beta1", 1)).at("v1beta1"),
			apply("two", widget(``)),
		),
	}
	scripts = append(scripts, Script{Name: "no schema", Kind: "Widget", Schema: "deduced", Steps: []Step{
		apply("one", widget(`"a":{"b":{"c":1}},"list":[1,2,{"x":1}],"n":null`)),
		apply("two", widget(`"a":{"b":{"d":2}},"list":[3]`)),
		apply("two", widget(`"a":{"b":{"d":2}},"list":[3]`)).forced(),
		update("three", widget(`"a":{"b":"flat"},"list":{"now":"map"}`)),
		apply("one", widget(`"a":{"b":{"c":1}}`)).forced(),
		update("three", widget(`"a":{},"list":[]`)),
		update("three", widget(`"a":null`)),
	}})
	many := []Step{}
	keys := []string{}
	for i := 0; i < 14; i++ {
		keys = append(keys, fmt.Sprintf(`"k%d":"v"`, i))
		many = append(many, update(fmt.Sprintf("manager-%02d", i), data(strings.Join(keys, ","))))
	}
	many = append(many, apply("last", data(`"k0":"v","k1":"w"`)))
	scripts = append(scripts, script("more updaters than ten", "ConfigMap", many...))
	return scripts
}
