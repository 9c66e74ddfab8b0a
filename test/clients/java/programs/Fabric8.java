package programs;

import static programs.Transcript.attempt;
import static programs.Transcript.say;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.ListOptionsBuilder;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.LocalPortForward;
import io.fabric8.kubernetes.client.Watch;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.ExecWatch;
import io.fabric8.kubernetes.client.dsl.PodResource;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderElectionConfigBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import io.fabric8.kubernetes.client.http.HttpClient;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** fabric8's client over the HTTP client whose factory is named: typed and generic API, patches, informers, streams. */
public final class Fabric8 {
  private static final String NAMESPACE = "fabric8";
  private final KubernetesClient client;

  private Fabric8(KubernetesClient client) {
    this.client = client;
  }

  public static void main(String[] arguments) throws Exception {
    HttpClient.Factory factory = (HttpClient.Factory) Class.forName(arguments[0]).getDeclaredConstructor().newInstance();
    try (KubernetesClient client = new KubernetesClientBuilder().withHttpClientFactory(factory).build()) {
      Fabric8 it = new Fabric8(client);
      attempt("version", () -> client.getKubernetesVersion().getMajor());
      attempt("namespace", () -> client.resource(new NamespaceBuilder().withNewMetadata().withName(NAMESPACE).endMetadata().build()).create().getStatus().getPhase());
      it.objects();
      it.watches();
      it.generic();
      it.election();
      String pod = System.getenv("POD");
      if (pod != null) it.streams(pod);
      attempt("namespace goes", () -> client.namespaces().withName(NAMESPACE).delete().size());
    }
    System.exit(0);
  }

  private static ConfigMap configMap(String name) {
    return new ConfigMapBuilder().withNewMetadata().withName(name).withNamespace(NAMESPACE).addToLabels("of", "fabric8").endMetadata().addToData("a", "1").build();
  }

  private ConfigMap one() {
    return client.configMaps().inNamespace(NAMESPACE).withName("one").get();
  }

  private void objects() {
    var maps = client.configMaps().inNamespace(NAMESPACE);
    attempt("create", () -> client.resource(configMap("one")).create().getData());
    attempt("create again", () -> client.resource(configMap("one")).create());
    attempt("edit", () -> maps.withName("one").edit(each -> new ConfigMapBuilder(each).addToData("edited", "yes").build()).getData());
    for (PatchType type : List.of(PatchType.JSON_MERGE, PatchType.STRATEGIC_MERGE)) {
      attempt("patch " + type, () -> maps.withName("one").patch(PatchContext.of(type), "{\"data\":{\"" + type + "\":\"1\"}}").getData());
    }
    attempt("patch JSON", () -> maps.withName("one").patch(PatchContext.of(PatchType.JSON), "[{\"op\":\"add\",\"path\":\"/data/json\",\"value\":\"2\"}]").getData());
    attempt("apply", () -> client.resource(withData("one", "applied")).forceConflicts().fieldManager("fabric8-apply").serverSideApply().getData());
    attempt("apply in conflict", () -> client.resource(withData("one", "other")).fieldManager("other").serverSideApply());
    attempt("managers", () -> one().getMetadata().getManagedFields().stream().map(each -> each.getManager() + " " + each.getOperation()).toList());
    attempt("update", () -> client.resource(new ConfigMapBuilder(one()).addToData("u", "u").build()).update().getData());
    attempt("replace when stale", () -> client.resource(new ConfigMapBuilder(one()).editMetadata().withResourceVersion("1").endMetadata().build()).lockResourceVersion("1").update());
    attempt("dry run", () -> client.resource(configMap("dry")).dryRun().create().getMetadata().getName());
    for (int number = 0; number < 4; number++) client.resource(configMap("page-" + number)).create();
    attempt("pages", () -> {
      List<List<String>> pages = new ArrayList<>();
      String token = null;
      do {
        var page = maps.withLabel("of", "fabric8").list(new ListOptionsBuilder().withLimit(2L).withContinue(token).build());
        pages.add(page.getItems().stream().map(each -> each.getMetadata().getName()).toList());
        token = page.getMetadata().getContinue();
      } while (token != null && !token.isEmpty());
      return pages;
    });
    attempt("selected", () -> maps.withLabelIn("of", "fabric8", "x").withoutLabel("none").withField("metadata.name", "page-1").list().getItems().size());
    attempt("invalid", () -> client.resource(configMap("A_b")).create());
    attempt("none there", () -> maps.withName("none").get());
    attempt("none there is required", () -> maps.withName("none").require());
    var labels = Map.of("app", "web");
    attempt("deployment", () -> client.resource(new DeploymentBuilder().withNewMetadata().withName("web").withNamespace(NAMESPACE).endMetadata()
        .withNewSpec().withReplicas(0).withNewSelector().withMatchLabels(labels).endSelector().withNewTemplate().withNewMetadata().withLabels(labels).endMetadata()
        .withNewSpec().addNewContainer().withName("c").withImage("i").endContainer().endSpec().endTemplate().endSpec().build()).create().getSpec().getReplicas());
    attempt("scale", () -> client.apps().deployments().inNamespace(NAMESPACE).withName("web").scale().getSpec());
    attempt("scaled", () -> client.apps().deployments().inNamespace(NAMESPACE).withName("web").scale(0).getSpec().getReplicas());
    attempt("status", () -> client.apps().deployments().inNamespace(NAMESPACE).withName("web").editStatus(each -> each).getKind());
    attempt("rolling restart", () -> client.apps().deployments().inNamespace(NAMESPACE).withName("web").rolling().restart().getSpec().getTemplate().getMetadata().getAnnotations().keySet());
    attempt("token", () -> client.serviceAccounts().inNamespace("default").withName("default").tokenRequest().getStatus().getToken().split("\\.").length);
    attempt("many", () -> client.resourceList("""
        apiVersion: v1
        kind: Service
        metadata: {name: s, namespace: fabric8}
        spec: {clusterIP: None, ports: [{port: 80}]}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: r, namespace: fabric8}
        rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
        """).serverSideApply().stream().map(HasMetadata::getKind).toList());
    attempt("raw", () -> client.raw("/api/v1/namespaces/fabric8/configmaps/one").length() > 100);
    attempt("groups", () -> client.getApiGroups().getGroups().stream().map(each -> each.getName()).filter(name -> name.endsWith("k8s.io") && !name.contains("metrics")).toList());
    attempt("supports", () -> List.of(client.supports(ConfigMap.class), client.hasApiGroup("apps", true), client.supports("none.example/v1", "Thing")));
    attempt("delete", () -> maps.withName("one").withGracePeriod(0).delete().size());
    attempt("delete many", () -> maps.withLabel("of", "fabric8").delete().size());
  }

  private static ConfigMap withData(String name, String value) {
    return new ConfigMapBuilder().withNewMetadata().withName(name).withNamespace(NAMESPACE).endMetadata().addToData("a", value).build();
  }

  private void watches() {
    attempt("watch", () -> {
      List<String> told = Collections.synchronizedList(new ArrayList<>());
      CountDownLatch ended = new CountDownLatch(1);
      Watcher<ConfigMap> watcher = new Watcher<>() {
        @Override
        public void eventReceived(Action action, ConfigMap each) {
          told.add(action + " " + each.getData());
          if (action == Action.DELETED) ended.countDown();
        }

        @Override
        public void onClose(WatcherException cause) {
          told.add("closed " + cause);
          ended.countDown();
        }
      };
      try (Watch ignored = client.configMaps().inNamespace(NAMESPACE).withName("w").watch(watcher)) {
        change("w");
        ended.await(30, TimeUnit.SECONDS);
        return told;
      }
    });
    attempt("informer", () -> {
      Map<String, Object> told = Collections.synchronizedMap(new TreeMap<>());
      CountDownLatch ended = new CountDownLatch(1);
      client.resource(configMap("there")).create();
      try (SharedIndexInformer<ConfigMap> informer = client.configMaps().inNamespace(NAMESPACE).inform(new ResourceEventHandler<>() {
        @Override
        public void onAdd(ConfigMap each) {
          told.put(each.getMetadata().getName() + " added", each.getData());
        }

        @Override
        public void onUpdate(ConfigMap before, ConfigMap each) {
          told.put(each.getMetadata().getName() + " updated", each.getData());
        }

        @Override
        public void onDelete(ConfigMap each, boolean unknown) {
          told.put(each.getMetadata().getName() + " deleted", unknown);
          if (each.getMetadata().getName().equals("i")) ended.countDown();
        }
      })) {
        change("i");
        ended.await(30, TimeUnit.SECONDS);
        told.keySet().removeIf(name -> name.startsWith("kube-root"));
        return List.of(told, informer.hasSynced(), informer.isWatching());
      }
    });
    attempt("waits until", () -> {
      client.resource(configMap("soon")).create();
      return client.configMaps().inNamespace(NAMESPACE).withName("soon").waitUntilCondition(each -> each != null, 20, TimeUnit.SECONDS).getData();
    });
  }

  private void change(String name) {
    client.resource(configMap(name)).create();
    client.configMaps().inNamespace(NAMESPACE).withName(name).edit(each -> new ConfigMapBuilder(each).addToData("b", "2").build());
    client.configMaps().inNamespace(NAMESPACE).withName(name).delete();
  }

  private void generic() {
    attempt("definition", () -> client.resource(DEFINITION).create().getKind());
    var context = new ResourceDefinitionContext.Builder().withGroup("java.example.org").withVersion("v1").withKind("Tree").withPlural("trees").withNamespaced(true).build();
    var trees = client.genericKubernetesResources(context).inNamespace(NAMESPACE);
    attempt("established", () -> client.apiextensions().v1().customResourceDefinitions().withName("trees.java.example.org")
        .waitUntilCondition(each -> each.getStatus() != null && each.getStatus().getConditions() != null && each.getStatus().getConditions().stream().anyMatch(one -> one.getType().equals("Established") && one.getStatus().equals("True")), 30, TimeUnit.SECONDS).getKind());
    attempt("tree", () -> untilMade(context).getAdditionalProperties());
    attempt("tree applied", () -> client.resource(tree("oak", 5)).forceConflicts().fieldManager("java").serverSideApply().getAdditionalProperties());
    attempt("tree status", () -> trees.withName("oak").editStatus(each -> {
      each.setAdditionalProperty("status", Map.of("leaves", 3));
      return each;
    }).getAdditionalProperties());
    attempt("tree too short", () -> client.resource(tree("short", 0)).create());
    attempt("trees", () -> trees.list().getItems().size());
    attempt("definition goes", () -> client.apiextensions().v1().customResourceDefinitions().withName("trees.java.example.org").delete().size());
  }

  private GenericKubernetesResource untilMade(ResourceDefinitionContext context) throws InterruptedException {
    for (int again = 0; ; again++) {
      try {
        return client.genericKubernetesResources(context).inNamespace(NAMESPACE).resource(tree("oak", 3)).create();
      } catch (RuntimeException error) {
        if (again == 100) throw error;
        Thread.sleep(100);
      }
    }
  }

  private static GenericKubernetesResource tree(String name, int height) {
    return Serialization.unmarshal("""
        apiVersion: java.example.org/v1
        kind: Tree
        metadata: {name: %s, namespace: fabric8}
        spec: {height: %d}
        """.formatted(name, height), GenericKubernetesResource.class);
  }

  private void election() {
    attempt("election", () -> {
      List<String> told = Collections.synchronizedList(new ArrayList<>());
      CountDownLatch led = new CountDownLatch(1);
      var elector = client.leaderElector().withConfig(new LeaderElectionConfigBuilder().withName("it").withReleaseOnCancel(true)
          .withLeaseDuration(Duration.ofSeconds(15)).withRenewDeadline(Duration.ofSeconds(10)).withRetryPeriod(Duration.ofSeconds(1))
          .withLock(new LeaseLock(NAMESPACE, "election", "me"))
          .withLeaderCallbacks(new LeaderCallbacks(led::countDown, () -> told.add("stopped"), who -> told.add("leader " + who))).build()).build();
      var running = elector.start();
      led.await(30, TimeUnit.SECONDS);
      running.cancel(true);
      for (int again = 0; again < 100 && !told.contains("stopped"); again++) Thread.sleep(100);
      Thread.sleep(500);
      told.add("holder " + client.leases().inNamespace(NAMESPACE).withName("election").get().getSpec().getHolderIdentity());
      return told;
    });
  }

  private void streams(String name) {
    PodResource pod = client.pods().inNamespace("default").withName(name);
    attempt("ready", pod::isReady);
    attempt("log", () -> pod.tailingLines(3).getLog());
    attempt("log of no container", () -> pod.inContainer("none").getLog());
    attempt("log followed", () -> {
      try (var following = pod.watchLog()) {
        byte[] said = new byte[7];
        following.getOutput().readNBytes(said, 0, said.length);
        return new String(said, StandardCharsets.UTF_8);
      }
    });
    attempt("exec", () -> executed(pod, "sh", "-c", "echo out; echo err >&2; exit 7"));
    attempt("exec says much", () -> executed(pod, "sh", "-c", "head -c 2000000 /dev/zero | tr '\\0' x").length());
    attempt("exec in no container", () -> {
      try (ExecWatch watch = pod.inContainer("none").writingOutput(new ByteArrayOutputStream()).exec("true")) {
        return watch.exitCode().get(20, TimeUnit.SECONDS);
      }
    });
    attempt("port-forward", () -> {
      try (LocalPortForward forward = pod.portForward(8080)) {
        var asking = HttpRequest.newBuilder(URI.create("http://localhost:" + forward.getLocalPort() + "/")).build();
        List<Object> told = new ArrayList<>();
        for (int again = 0; again < 2; again++)
          told.add(java.net.http.HttpClient.newHttpClient().send(asking, HttpResponse.BodyHandlers.ofString()).body().trim().equals(name));
        told.add(forward.errorOccurred());
        return told;
      }
    });
    attempt("attach", () -> {
      try (ExecWatch watch = pod.redirectingOutput().attach()) {
        Thread.sleep(500);
        return watch.exitCode().isDone();
      }
    });
  }

  private static String executed(PodResource pod, String... command) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream(), errors = new ByteArrayOutputStream();
    // The client tells the exit code while it still writes out what came before; its channel of errors is written last.
    var written = new CompletableFuture<Void>();
    var last = new OutputStream() {
      @Override
      public void write(int each) {
        written.complete(null);
      }
    };
    try (ExecWatch watch = pod.writingOutput(out).writingError(errors).writingErrorChannel(last).exec(command)) {
      int code = watch.exitCode().get(30, TimeUnit.SECONDS);
      written.get(30, TimeUnit.SECONDS);
      return out + "|" + errors + "|" + code;
    }
  }

  private static final String DEFINITION = """
      apiVersion: apiextensions.k8s.io/v1
      kind: CustomResourceDefinition
      metadata: {name: trees.java.example.org}
      spec:
        group: java.example.org
        names: {kind: Tree, plural: trees}
        scope: Namespaced
        versions:
        - name: v1
          served: true
          storage: true
          subresources: {status: {}}
          schema:
            openAPIV3Schema:
              type: object
              properties:
                spec: {type: object, properties: {height: {type: integer, minimum: 1}}}
                status: {type: object, properties: {leaves: {type: integer}}}
      """;
}
