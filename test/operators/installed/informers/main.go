// Informers runs client-go's three kinds of informers (typed, dynamic, of metadata alone) over ConfigMaps and custom objects,
// changes one object of each, and prints as JSON what the informers told and how they asked. Feature gates of client-go are
// read from the environment, as every client that is built with it reads them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	namespace = "default"
	name      = "probe"
	patience  = 60 * time.Second
)

var trees = schema.GroupVersionResource{Group: "garden.example.org", Version: "v1", Resource: "trees"}

type notes struct {
	mutex sync.Mutex
	// What each informer told of the object, in its order.
	Events map[string][]string `json:"events"`
	// How collections were read, each way once.
	Reads []string `json:"reads"`
}

func (n *notes) event(informer, what string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.Events[informer] = append(n.Events[informer], what)
}

func (n *notes) read(way string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if !slices.Contains(n.Reads, way) {
		n.Reads = append(n.Reads, way)
	}
}

func (n *notes) hasEnded() bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, events := range n.Events {
		if !slices.Contains(events, "delete") {
			return false
		}
	}
	return len(n.Events) == 3
}

type observer struct {
	next  http.RoundTripper
	notes *notes
}

func (o observer) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := o.next.RoundTrip(request)
	if request.Method == http.MethodGet && err == nil {
		way := "list"
		if query := request.URL.Query(); query.Get("sendInitialEvents") == "true" {
			way = "watch from nothing"
		} else if query.Get("watch") == "true" {
			way = "watch"
		}
		o.notes.read(fmt.Sprintf("%s %d", way, answer.StatusCode))
	}
	return answer, err
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	noted := &notes{Events: map[string][]string{}}
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper { return observer{next, noted} }
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	ofMetadata, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	all := map[string]cache.SharedIndexInformer{
		"typed":    informers.NewSharedInformerFactoryWithOptions(typed, 0, informers.WithNamespace(namespace)).Core().V1().ConfigMaps().Informer(),
		"dynamic":  dynamicinformer.NewFilteredDynamicSharedInformerFactory(untyped, 0, namespace, nil).ForResource(trees).Informer(),
		"metadata": metadatainformer.NewFilteredSharedInformerFactory(ofMetadata, 0, namespace, nil).ForResource(trees).Informer(),
	}
	for informer, i := range all {
		tell := func(what string) func(any) {
			return func(object any) {
				if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil && key == namespace+"/"+name {
					noted.event(informer, what)
				}
			}
		}
		changed := tell("update")
		if _, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: tell("add"), UpdateFunc: func(_, object any) { changed(object) }, DeleteFunc: tell("delete"),
		}); err != nil {
			return err
		}
		go i.Run(ctx.Done())
		if !cache.WaitForCacheSync(ctx.Done(), i.HasSynced) {
			return fmt.Errorf("the %s informer was not in step in time", informer)
		}
	}
	if err := change(ctx, typed, untyped); err != nil {
		return err
	}
	for !noted.hasEnded() {
		if ctx.Err() != nil {
			return fmt.Errorf("told in time: %v", noted.Events)
		}
		time.Sleep(50 * time.Millisecond)
	}
	slices.Sort(noted.Reads)
	return json.NewEncoder(os.Stdout).Encode(noted)
}

func change(ctx context.Context, typed kubernetes.Interface, untyped dynamic.Interface) error {
	maps := typed.CoreV1().ConfigMaps(namespace)
	made, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": "1"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Data["a"] = "2"
	if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if _, err := maps.Apply(ctx, applycorev1.ConfigMap(name, namespace).WithData(map[string]string{"b": "3"}), metav1.ApplyOptions{FieldManager: "probe"}); err != nil {
		return err
	}
	if err := maps.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	custom := untyped.Resource(trees).Namespace(namespace)
	tree := func(height int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "garden.example.org/v1", "kind": "Tree",
			"metadata": map[string]any{"name": name}, "spec": map[string]any{"height": height},
		}}
	}
	if _, err := custom.Create(ctx, tree(1), metav1.CreateOptions{FieldManager: "probe"}); err != nil {
		return err
	}
	if _, err := custom.Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"height":2}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	if _, err := custom.Apply(ctx, name, tree(9007199254740993), metav1.ApplyOptions{FieldManager: "probe", Force: true}); err != nil {
		return err
	}
	return custom.Delete(ctx, name, metav1.DeleteOptions{})
}
