package main

import (
	"bytes"
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// decodingVector is a request body and what upstream's strict decoder makes of it.
type decodingVector struct {
	Body string `json:"body"`
	YAML bool   `json:"yaml,omitempty"`
	// Error is set when the body is refused; Strict when it only is under fieldValidation=Strict.
	Error  string          `json:"error,omitempty"`
	Strict string          `json:"strict,omitempty"`
	JSON   json.RawMessage `json:"json,omitempty"`
}

// decodingBodies are JSON bodies of ConfigMaps, Deployments, Pods and others with something amiss or uncanonical.
var decodingBodies = []string{
	`{"apiVersion":"v1","kind":"ConfigMap"}`,
	`{"apiVersion":"v1","kind":"ConfigMap","data":{"b":"1","a":"2"},"binaryData":{"x":"AAEC","y":null},"metadata":{"name":"a","labels":null,"creationTimestamp":null}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":1}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":{"b":1}}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","data":[]}`,
	`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":null}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","binaryData":{"a":"%%%"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","binaryData":{"a":"AAE"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","immutable":"yes"}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":"x"}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"creationTimestamp":"2020-01-02T03:04:05.678+02:00"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"creationTimestamp":"yesterday"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"creationTimestamp":"2020-13-02T03:04:05Z"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"creationTimestamp":12}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"finalizers":"x"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"finalizers":[1]}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generation":9007199254740993}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generation":9223372036854775808}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generation":1.0}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generation":1e2}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generation":true}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"managedFields":[{"manager":"m","fieldsV1":{"f:data":{"f:a":{}}},"time":"2020-01-02T03:04:05Z"}]}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","nope":{"a":1,"a":2},"metadata":{"nope":1,"labels":{"a":"1","a":"2"}},"data":{"x":"1","x":"2"}}`,
	`{"apiVersion":"v1","kind":"ConfigMap","Data":{"a":"1"}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":"2"}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":3000000000}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":0,"paused":false,"selector":null,"template":{"spec":{"containers":[{"name":"a","image":"b"}]}}}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"unknown1":1,"unknownDupe":1,"unknownDupe":2,"paused":true,"paused":false,"template":{"spec":{"containers":[{"name":"n","unknownNested":1,"imagePullPolicy":"Always","imagePullPolicy":"Never"}]}}},"metadata":{"name":"a","name":"b","unknownMeta":1}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":1}}}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"strategy":{"rollingUpdate":{"maxSurge":true}}}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{"containers":{}}}}}`,
	`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{"containers":[null]}}}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":1}]}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":["x"]}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":1,"memory":"1.5Gi","x":0.5},"requests":{"cpu":"1000m"}},"ports":[{"containerPort":80}]}],"volumes":[{"name":"v","emptyDir":{"sizeLimit":"1024Mi"}}]}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"lots"}}}]}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":true}}}]}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[],"volumes":[],"nodeSelector":{},"tolerations":[{}],"activeDeadlineSeconds":0,"terminationGracePeriodSeconds":null,"affinity":{}}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","env":[{"name":"A","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}}],"livenessProbe":{"httpGet":{"path":"/"}}}]}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":[]}`,
	`{"apiVersion":"v1","kind":"Pod","spec":"x"}`,
	`{"apiVersion":"v1","kind":"Event","eventTime":"2020-01-02T03:04:05.123456Z","metadata":{}}`,
	`{"apiVersion":"v1","kind":"Event","eventTime":"2020-01-02T03:04:05.000000+01:00","involvedObject":{}}`,
	`{"apiVersion":"v1","kind":"Event","eventTime":"2020-01-02T03:04:05Z"}`,
	`{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":80},{"port":81,"targetPort":"http"}]}}`,
	`{"apiVersion":"v1","kind":"Secret","data":{"a":"YWJj\nZGVm"},"stringData":{"b":"c"}}`,
	`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","rules":null}`,
	`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","rules":[{"verbs":null}]}`,
	`{"apiVersion":"apps/v1","kind":"ControllerRevision","data":{"b":1,"a":1.0},"revision":1}`,
	`{"apiVersion":"apps/v1","kind":"ControllerRevision","data":null,"revision":1}`,
	`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"versions":[{"name":"v1","schema":{"openAPIV3Schema":{"type":"object","unknown":1,"properties":{"a":{"type":"integer","default":1.0,"unknown":1},"b":{"items":{"type":"string","unknown":2}},"c":{"additionalProperties":true},"d":{"additionalProperties":{"type":"string"}},"e":{"items":[]},"f":{"maximum":1e3,"minimum":1.50,"enum":[1.0,null,"x"]}}}}}]}}`,
	`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"versions":[{"schema":{"openAPIV3Schema":{"additionalProperties":1}}}]}}`,
	`{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","spec":{"metrics":[{"type":"Pods","pods":{"metric":{"name":"a"},"target":{"type":"AverageValue","averageValue":"0.5k"}}}]}}`,
	`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a"}]}} x`,
	`{"apiVersion":"v1","kind":"Pod",}`,
	`{"apiVersion":"v1","kind":"Pod"`,
	`[]`,
	`"x"`,
	``,
	`{"kind":"Pod"}`,
	`{"apiVersion":"v1"}`,
	`{"apiVersion":1,"kind":"Pod"}`,
}

var decodingYAMLBodies = []string{
	"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  name: b\n  nope: 1\ndata:\n  b: x\n  b: y\n  a: z\n",
	"apiVersion: v1\nkind: ConfigMap\ndata:\n  a: yes\n",
	"apiVersion: v1\nkind: ConfigMap\ndata: {a: 'yes', 1: \"2\", n: 'x'}\nimmutable: on\n",
	"apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 0x10\n  minReadySeconds: 1.0\n",
	"apiVersion: v1\nkind: ConfigMap\ndata:\n  time: 2001-12-14\n  octal: \"0777\"\n  text: |\n    a\n    b\n",
}

func decodingVectors(scheme *runtime.Scheme) ([]decodingVector, error) {
	var vectors []decodingVector
	for _, body := range decodingBodies {
		vectors = append(vectors, decodingVector{Body: body})
	}
	for _, body := range decodingYAMLBodies {
		vectors = append(vectors, decodingVector{Body: body, YAML: true})
	}
	for i := range vectors {
		if err := vectors[i].decode(scheme); err != nil {
			return nil, err
		}
	}
	return vectors, nil
}

func (v *decodingVector) decode(scheme *runtime.Scheme) error {
	options := jsonserializer.SerializerOptions{Yaml: v.YAML, Strict: true}
	object, gvk, err := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme, options).Decode([]byte(v.Body), nil, nil)
	switch {
	case runtime.IsStrictDecodingError(err):
		v.Strict = err.Error()
	case err != nil:
		v.Error = err.Error()
		return nil
	}
	object.GetObjectKind().SetGroupVersionKind(*gvk)
	var out bytes.Buffer
	encoder := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{})
	if err := encoder.Encode(object, &out); err != nil {
		return err
	}
	v.JSON = out.Bytes()
	return nil
}
