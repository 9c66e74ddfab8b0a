package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

var builtIn = map[string]schema.GroupVersionKind{
	"Pod":                            {Version: "v1", Kind: "Pod"},
	"Service":                        {Version: "v1", Kind: "Service"},
	"ConfigMap":                      {Version: "v1", Kind: "ConfigMap"},
	"Node":                           {Version: "v1", Kind: "Node"},
	"Deployment":                     {Group: "apps", Version: "v1", Kind: "Deployment"},
	"DaemonSet":                      {Group: "apps", Version: "v1", Kind: "DaemonSet"},
	"Ingress":                        {Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
	"ClusterRoleBinding":             {Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
	"ValidatingWebhookConfiguration": {Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration"},
	"HorizontalPodAutoscaler":        {Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

type noDefaults struct{}

func (noDefaults) Default(runtime.Object) {}

// widgets converts custom resources of two versions that have the same structure.
type widgets struct{ kind string }

func (w widgets) Convert(in, out, context interface{}) error { return errors.New("not used") }
func (w widgets) ConvertFieldLabel(gvk schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}
func (w widgets) ConvertToVersion(in runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	gv, ok := target.(schema.GroupVersion)
	if !ok {
		return nil, fmt.Errorf("unexpected target %v", target)
	}
	if gv.Version != "v1" && gv.Version != "v1beta1" {
		return nil, runtime.NewNotRegisteredErrForTarget("widgets", nil, target)
	}
	out := in.DeepCopyObject()
	out.GetObjectKind().SetGroupVersionKind(gv.WithKind(w.kind))
	return out, nil
}
func (w widgets) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	return object, nil
}

func fieldManager(script Script, step Step) (*managedfields.FieldManager, schema.GroupVersionKind) {
	if script.Schema == "" {
		gvk := builtIn[script.Kind]
		return must(managedfields.NewDefaultFieldManager(
			applyconfigurations.NewTypeConverter(scheme.Scheme), scheme.Scheme, noDefaults{}, scheme.Scheme,
			gvk, gvk.GroupVersion(), step.Subresource, resets(gvk, step),
		)), gvk
	}
	version := step.Version
	if version == "" {
		version = "v1"
	}
	gvk := schema.GroupVersionKind{Group: "example.com", Version: version, Kind: script.Kind}
	converter := managedfields.NewDeducedTypeConverter()
	name := script.Schema
	if step.Schema != "" {
		name = step.Schema
	}
	if script.Schema != "deduced" {
		converter = must(managedfields.NewTypeConverter(customModels(script.Kind, name), false))
	}
	w := widgets{script.Kind}
	return must(managedfields.NewDefaultCRDFieldManager(
		converter, w, noDefaults{}, w, gvk, schema.GroupVersion{Group: "example.com", Version: "v1"}, step.Subresource, resets(gvk, step),
	)), gvk
}

func resets(gvk schema.GroupVersionKind, step Step) map[fieldpath.APIVersion]fieldpath.Filter {
	if len(step.Only) > 0 {
		var matchers []*fieldpath.SetMatcher
		for _, path := range step.Only {
			var parts []interface{}
			for _, name := range strings.Split(path, "/") {
				if name == "*" {
					parts = append(parts, fieldpath.MatchAnyPathElement())
				} else {
					parts = append(parts, name)
				}
			}
			matchers = append(matchers, fieldpath.MakePrefixMatcherOrDie(parts...))
		}
		return map[fieldpath.APIVersion]fieldpath.Filter{
			fieldpath.APIVersion(gvk.GroupVersion().String()): fieldpath.NewIncludeMatcherFilter(matchers...),
		}
	}
	if len(step.Reset) == 0 {
		return nil
	}
	set := fieldpath.NewSet()
	for _, field := range step.Reset {
		set.Insert(fieldpath.MakePathOrDie(field))
	}
	return fieldpath.NewExcludeFilterSetMap(map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(gvk.GroupVersion().String()): set,
	})
}

// run carries a script out: expectations are filled in.
func run(script Script) Script {
	var live runtime.Object
	for number := range script.Steps {
		step := &script.Steps[number]
		manager, gvk := fieldManager(script, *step)
		current := live
		if current == nil {
			current = empty(script, gvk)
		} else if script.Schema != "" {
			current = must(widgets{script.Kind}.ConvertToVersion(current, gvk.GroupVersion()))
		}
		var next runtime.Object
		var err error
		if step.Op == "update" {
			next = decode(script, gvk, step.Object)
			if live != nil {
				setUID(next)
			}
			entries := must(meta.Accessor(next)).GetManagedFields()
			step.Object = encode(next)
			if entries != nil && len(entries) == 0 {
				// Go's encoder leaves an empty list out; here it asks for a reset.
				step.Object = json.RawMessage(strings.Replace(string(step.Object), `"metadata":{`, `"metadata":{"managedFields":[],`, 1))
			}
			next = manager.UpdateNoErrors(current.DeepCopyObject(), next, step.Manager)
		} else {
			config := &unstructured.Unstructured{}
			if err := json.Unmarshal(step.Object, &config.Object); err != nil {
				panic(err)
			}
			// As a request body is decoded: integers are int64.
			config.Object = must(runtime.DefaultUnstructuredConverter.ToUnstructured(config))
			next, err = manager.Apply(current.DeepCopyObject(), config, step.Manager, step.Force)
		}
		if err != nil {
			step.Error = failure(err)
			continue
		}
		setUID(next)
		step.Managed = stamp(next, number)
		if step.Op == "apply" {
			bare := next.DeepCopyObject()
			must(meta.Accessor(bare)).SetManagedFields(nil)
			step.Result = encode(bare)
		}
		live = next
	}
	return script
}

func empty(script Script, gvk schema.GroupVersionKind) runtime.Object {
	if script.Schema != "" {
		return must(widgets{script.Kind}.New(gvk))
	}
	object := must(scheme.Scheme.New(gvk))
	object.GetObjectKind().SetGroupVersionKind(gvk)
	return object
}

func decode(script Script, gvk schema.GroupVersionKind, data []byte) runtime.Object {
	object := empty(script, gvk)
	if custom, ok := object.(*unstructured.Unstructured); ok {
		if err := custom.UnmarshalJSON(data); err != nil {
			panic(err)
		}
		return custom
	}
	if err := json.Unmarshal(data, object); err != nil {
		panic(err)
	}
	object.GetObjectKind().SetGroupVersionKind(gvk)
	return object
}

func setUID(object runtime.Object) { must(meta.Accessor(object)).SetUID("1") }

// stamp replaces the times that this step set by the step's own.
func stamp(object runtime.Object, number int) json.RawMessage {
	accessor := must(meta.Accessor(object))
	entries := accessor.GetManagedFields()
	for i := range entries {
		if entries[i].Time != nil && entries[i].Time.Year() > 2001 {
			entries[i].Time = &metav1.Time{Time: epoch.Add(time.Duration(number) * time.Second)}
		}
	}
	accessor.SetManagedFields(entries)
	if entries == nil {
		return json.RawMessage("[]")
	}
	return must(json.Marshal(entries))
}

func encode(object runtime.Object) json.RawMessage { return must(json.Marshal(object)) }

func failure(err error) *Failure {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return &Failure{Code: 500, Message: err.Error()}
	}
	result := &Failure{Code: status.Status().Code, Message: status.Status().Message}
	if details := status.Status().Details; details != nil && len(details.Causes) > 0 {
		result.Causes = must(json.Marshal(details.Causes))
	}
	return result
}

// customModels is what an API server builds for a custom resource: its schema with the ordinary metadata.
func customModels(kind, name string) map[string]*spec.Schema {
	models := map[string]*spec.Schema{}
	for _, version := range []string{"v1", "v1beta1"} {
		model := &spec.Schema{}
		if err := json.Unmarshal(customSchemas()[name], model); err != nil {
			panic(err)
		}
		model.Properties["apiVersion"] = *spec.StringProperty()
		model.Properties["kind"] = *spec.StringProperty()
		model.Properties["metadata"] = *spec.RefSchema("#/definitions/ObjectMeta")
		model.AddExtension("x-kubernetes-group-version-kind", []interface{}{
			map[string]interface{}{"group": "example.com", "version": version, "kind": kind},
		})
		models["com.example."+version+"."+kind] = model
	}
	objectMeta := &spec.Schema{}
	if err := json.Unmarshal([]byte(objectMetaSchema), objectMeta); err != nil {
		panic(err)
	}
	models["ObjectMeta"] = objectMeta
	return models
}

const objectMetaSchema = `{"type":"object","properties":{
	"name":{"type":"string"},"generateName":{"type":"string"},"namespace":{"type":"string"},"uid":{"type":"string"},
	"resourceVersion":{"type":"string"},"generation":{"type":"integer"},"selfLink":{"type":"string"},
	"creationTimestamp":{"type":"string","format":"date-time"},"deletionTimestamp":{"type":"string","format":"date-time"},
	"deletionGracePeriodSeconds":{"type":"integer"},
	"labels":{"type":"object","additionalProperties":{"type":"string"}},
	"annotations":{"type":"object","additionalProperties":{"type":"string"}},
	"finalizers":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"},
	"ownerReferences":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["uid"],"items":{"type":"object",
		"x-kubernetes-map-type":"atomic","properties":{"apiVersion":{"type":"string"},"kind":{"type":"string"},"name":{"type":"string"},
		"uid":{"type":"string"},"controller":{"type":"boolean"},"blockOwnerDeletion":{"type":"boolean"}}}},
	"managedFields":{"type":"array","x-kubernetes-list-type":"atomic","items":{"type":"object"}}}}`
