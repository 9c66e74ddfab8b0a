package main

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	admissionv1beta1 "k8s.io/api/admission/v1beta1"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	imagepolicyv1alpha1 "k8s.io/api/imagepolicy/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationv1beta1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1beta1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// groupVersion is one API group version that the generator covers.
type groupVersion struct {
	schema.GroupVersion
	// pkg is the Go package whose types belong to it.
	pkg string
	// file is the prefix of its TypeScript file, `core-v1`, or noTypes.
	file string
	// kinds are the only ones covered, their lists beside them; none for all.
	kinds []string
}

// noTypes is the file of a version whose types are another one's to the letter: nobody names them.
const noTypes = "-"

const metaPackage = "k8s.io/apimachinery/pkg/apis/meta/v1"

// covered lists every generally available group version of v1.35, the two that clients need besides, and the kinds of
// others that a setting of the server makes it serve.
var covered = []groupVersion{
	gv("", "v1", "k8s.io/api/core/v1", "core-v1"),
	gv("meta.k8s.io", "v1", metaPackage, "meta-v1"),
	gv("admission.k8s.io", "v1", "k8s.io/api/admission/v1", ""),
	gv("admissionregistration.k8s.io", "v1", "k8s.io/api/admissionregistration/v1", ""),
	// v1.35 serves no other kind of this version any more.
	gv("admissionregistration.k8s.io", "v1beta1", "k8s.io/api/admissionregistration/v1beta1", "",
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
	gv("apidiscovery.k8s.io", "v2", "k8s.io/api/apidiscovery/v2", ""),
	gv("apiextensions.k8s.io", "v1", "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", ""),
	gv("apiregistration.k8s.io", "v1", "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1", ""),
	gv("apps", "v1", "k8s.io/api/apps/v1", ""),
	gv("authentication.k8s.io", "v1", "k8s.io/api/authentication/v1", ""),
	gv("authorization.k8s.io", "v1", "k8s.io/api/authorization/v1", ""),
	gv("autoscaling", "v1", "k8s.io/api/autoscaling/v1", ""),
	gv("autoscaling", "v2", "k8s.io/api/autoscaling/v2", ""),
	gv("batch", "v1", "k8s.io/api/batch/v1", ""),
	gv("certificates.k8s.io", "v1", "k8s.io/api/certificates/v1", ""),
	gv("coordination.k8s.io", "v1", "k8s.io/api/coordination/v1", ""),
	gv("discovery.k8s.io", "v1", "k8s.io/api/discovery/v1", ""),
	gv("events.k8s.io", "v1", "k8s.io/api/events/v1", ""),
	gv("flowcontrol.apiserver.k8s.io", "v1", "k8s.io/api/flowcontrol/v1", ""),
	gv("metrics.k8s.io", "v1beta1", "k8s.io/metrics/pkg/apis/metrics/v1beta1", ""),
	gv("networking.k8s.io", "v1", "k8s.io/api/networking/v1", ""),
	gv("node.k8s.io", "v1", "k8s.io/api/node/v1", ""),
	gv("policy", "v1", "k8s.io/api/policy/v1", ""),
	gv("rbac.authorization.k8s.io", "v1", "k8s.io/api/rbac/v1", ""),
	gv("resource.k8s.io", "v1", "k8s.io/api/resource/v1", ""),
	gv("resource.k8s.io", "v1beta1", "k8s.io/api/resource/v1beta1", ""),
	gv("resource.k8s.io", "v1beta2", "k8s.io/api/resource/v1beta2", noTypes),
	gv("scheduling.k8s.io", "v1", "k8s.io/api/scheduling/v1", ""),
	gv("storage.k8s.io", "v1", "k8s.io/api/storage/v1", ""),
}

func gv(group, version, pkg, file string, kinds ...string) groupVersion {
	if file == "" {
		file = strings.SplitN(group, ".", 2)[0] + "-" + version
	}
	return groupVersion{schema.GroupVersion{Group: group, Version: version}, pkg, file, kinds}
}

// newScheme registers every covered group version.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientscheme.AddToScheme, admissionv1.AddToScheme, apidiscoveryv2.AddToScheme, apiextensionsv1.AddToScheme,
		apiregistrationv1.AddToScheme, metricsv1beta1.AddToScheme, metav1.AddMetaToScheme,
		// Not covered, but among the versions of options.
		admissionv1beta1.AddToScheme, apiextensionsv1beta1.AddToScheme, apiregistrationv1beta1.AddToScheme,
		imagepolicyv1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// kind is one top-level kind and its Go type.
type kind struct {
	schema.GroupVersionKind
	goType reflect.Type
}

// metaKinds are kinds of the meta package that no scheme lists under one group, but that clients send or read.
var metaKinds = []any{
	metav1.APIGroup{}, metav1.APIGroupList{}, metav1.APIResourceList{}, metav1.APIVersions{}, metav1.Status{},
	metav1.ListOptions{}, metav1.GetOptions{}, metav1.CreateOptions{}, metav1.UpdateOptions{}, metav1.PatchOptions{},
	metav1.DeleteOptions{}, metav1.Table{}, metav1.PartialObjectMetadata{}, metav1.PartialObjectMetadataList{},
	metav1.WatchEvent{},
}

// kindsOf lists the kinds of one group version by name. Kinds of the meta package are listed only under meta.k8s.io,
// although the scheme knows the option types and WatchEvent in every group.
func kindsOf(scheme *runtime.Scheme, group groupVersion) ([]kind, error) {
	var kinds []kind
	if group.pkg == metaPackage {
		for _, value := range metaKinds {
			goType := reflect.TypeOf(value)
			kinds = append(kinds, kind{group.WithKind(goType.Name()), goType})
		}
	} else {
		for name, goType := range scheme.KnownTypes(group.GroupVersion) {
			if len(group.kinds) > 0 && !slices.Contains(group.kinds, strings.TrimSuffix(name, "List")) {
				continue
			}
			if goType.PkgPath() == group.pkg || (goType.PkgPath() == "k8s.io/api/autoscaling/v1" && name == "Scale") {
				kinds = append(kinds, kind{group.WithKind(name), goType})
			}
		}
	}
	if len(kinds) == 0 {
		return nil, fmt.Errorf("no kinds for %s", group.GroupVersion)
	}
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].Kind < kinds[j].Kind })
	return kinds, nil
}

// optionVersions lists group and version of every version that upstream's server has DeleteOptions and WatchEvent in,
// those that it does not serve included: their models name them all, but in documents of custom resources those alone that
// clients know too, which have a third text here.
func optionVersions(scheme *runtime.Scheme) [][]string {
	var versions [][]string
	for gvk := range scheme.AllKnownTypes() {
		// These are other servers'.
		if gvk.Kind != "DeleteOptions" || gvk.Version == runtime.APIVersionInternal ||
			gvk.Group == metricsv1beta1.GroupName || gvk.Group == apidiscoveryv2.GroupName {
			continue
		}
		version := []string{gvk.Group, gvk.Version}
		if clientscheme.Scheme.Recognizes(gvk) {
			version = append(version, "client")
		}
		versions = append(versions, version)
	}
	sort.Slice(versions, func(i, j int) bool { return slices.Compare(versions[i], versions[j]) < 0 })
	return versions
}
