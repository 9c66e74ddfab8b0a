/** Feature gates that upstream's components of v1.35 know (pkg/features and those of the libraries in it), and what it makes of them. */
import { ConfigError, type Option, texts } from "./option.ts";

/** On, and may be switched off there. */
const onByDefault =
  "APIResponseCompression APIServerIdentity AllowParsingUserUIDFromCertAuth " +
  "AuthorizePodWebsocketUpgradeCreatePermission CPUManagerPolicyBetaOptions CRDValidationRatcheting " +
  "CSIServiceAccountTokenSecrets ClearingNominatedNodeNameAfterBinding ContainerCheckpoint ContainerRestartRules " +
  "ContextualLogging CustomResourceFieldSelectors DOSMitigation DRAAdminAccess DRAPrioritizedList " +
  "DRAResourceClaimDeviceStatus DRASchedulerFilterTimeout DeclarativeValidation " +
  "DeploymentReplicaSetTerminatingReplicas DetectCacheInconsistency DisableCPUQuotaWithExclusiveCPUs " +
  "DisableNodeKubeProxyVersion EnvFiles ExternalServiceAccountTokenSigner GracefulNodeShutdown " +
  "GracefulNodeShutdownBasedOnPodPriority HPAConfigurableTolerance HostnameOverride ImageVolume InOrderInformers " +
  "InOrderInformersBatchProcess InformerResourceVersion KubeletCrashLoopBackOffMax KubeletEnsureSecretPulledImages " +
  "KubeletFineGrainedAuthz KubeletPSI KubeletPodResourcesDynamicResources KubeletPodResourcesGet " +
  "KubeletPodResourcesListUseActivePods KubeletSeparateDiskGC KubeletServiceAccountTokenForCredentialProviders " +
  "ListFromCacheSnapshot LoggingBetaOptions MatchLabelKeysInPodTopologySpread " +
  "MatchLabelKeysInPodTopologySpreadSelectorMerge MutableCSINodeAllocatableCount NominatedNodeNameForExpectation " +
  "OpenAPIEnums OpportunisticBatching PodDeletionCost PodLevelResources PodReadyToStartContainersCondition " +
  "PodTopologyLabelsAdmission PortForwardWebsockets PreventStaticPodAPIReferences ProcMountType " +
  "ReloadKubeletServerCertificateFile RemoteRequestHeaderUID RetryGenerateName RotateKubeletServerCertificate " +
  "SELinuxChangePolicy SELinuxMountReadWriteOncePod SchedulerAsyncPreemption SchedulerPopFromBackoffQ " +
  "ServiceAccountNodeAudienceRestriction SidecarContainers SizeBasedListCostEstimate " +
  "StatefulSetSemanticRevisionComparison StorageNamespaceIndex StorageVersionHash " +
  "StructuredAuthenticationConfigurationEgressSelector StructuredAuthenticationConfigurationJWKSMetrics " +
  "TokenRequestServiceAccountUIDValidation TopologyManagerPolicyBetaOptions TopologyManagerPolicyOptions " +
  "TranslateStreamCloseWebsocketRequests UnauthenticatedHTTP2DOSMitigation UserNamespacesSupport " +
  "VolumeAttributesClass WatchList WatchListClient WindowsGracefulNodeShutdown";

/** Off, and may be switched on there. */
const offByDefault =
  "APIServingWithRoutine AllAlpha AllBeta AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests " +
  "AllowUnsafeMalformedObjectDeletion CBORServingAndStorage CPUManagerPolicyAlphaOptions " +
  "CRDObservedGenerationTracking CSIVolumeHealth ChangeContainerStatusOnKubeletRestart ClientsAllowCBOR " +
  "ClientsPreferCBOR CloudControllerManagerWatchBasedRoutesReconciliation CloudControllerManagerWebhook " +
  "ClusterTrustBundle ClusterTrustBundleProjection ComponentFlagz ComponentStatusz ConcurrentWatchObjectDecode " +
  "ConstrainedImpersonation ContainerStopSignals CoordinatedLeaderElection CrossNamespaceVolumeDataSource " +
  "CustomCPUCFSQuotaPeriod DRAConsumableCapacity DRADeviceBindingConditions DRADeviceTaintRules DRADeviceTaints " +
  "DRAExtendedResource DRAPartitionableDevices DeclarativeValidationTakeover EventedPLEG GangScheduling " +
  "GenericWorkload GitRepoVolumeDriver HPAScaleToZero InPlacePodLevelResourcesVerticalScaling " +
  "InPlacePodVerticalScalingAllocatedStatus InPlacePodVerticalScalingExclusiveCPUs " +
  "InPlacePodVerticalScalingExclusiveMemory InTreePluginPortworxUnregister KMSv1 KubeletInUserNamespace " +
  "KubeletRegistrationGetOnExistsOnly LocalStorageCapacityIsolationFSQuotaMonitoring LoggingAlphaOptions " +
  "MaxUnavailableStatefulSet MemoryQoS MutablePVNodeAffinity MutablePodResourcesForSuspendedJobs " +
  "MutableSchedulingDirectivesForSuspendedJobs MutatingAdmissionPolicy NodeDeclaredFeatures NodeLogQuery " +
  "PodAndContainerStatsFromCRI PodCertificateRequest PodLogsQuerySplitStreams QOSReserved " +
  "ReduceDefaultCrashLoopBackOffDecay RelaxedServiceNameValidation ResourceHealthStatus " +
  "RestartAllContainersOnContainerExits RuntimeClassInImageCriApi SELinuxMount SchedulerAsyncAPICalls " +
  "SeparateCacheWatchRPC StorageCapacityScoring StorageVersionAPI StorageVersionMigrator StrictIPCIDRValidation " +
  "TaintTolerationComparisonOperators TopologyManagerPolicyAlphaOptions UnknownVersionInteroperabilityProxy " +
  "UserNamespacesHostNetworkSupport VolumeLimitScaling WatchCacheInitializationPostStartHook " +
  "WindowsCPUAndMemoryAffinity WindowsHostNetwork";

/** On for good. */
const lockedOn =
  "APIServerTracing AggregatedDiscoveryRemoveBetaType AnonymousAuthConfigurableEndpoints AnyVolumeDataSource " +
  "AuthorizeNodeWithSelectors AuthorizeWithSelectors BtreeWatchCache CPUManagerPolicyOptions CSIMigrationPortworx " +
  "ConsistentListFromCache DisableAllocatorDualWrite DynamicResourceAllocation ExecProbeTimeout " +
  "HonorPVReclaimPolicy ImageMaximumGCAge InPlacePodVerticalScaling JobBackoffLimitPerIndex JobManagedBy " +
  "JobPodReplacementPolicy JobSuccessPolicy KubeletCgroupDriverFromCRI KubeletTracing LogarithmicScaleDown " +
  "MatchLabelKeysInPodAffinity MemoryManager MultiCIDRServiceAllocator NFTablesProxyMode " +
  "NodeInclusionPolicyInPodTopologySpread NodeSwap OrderedNamespaceDeletion PodLifecycleSleepAction " +
  "PodLifecycleSleepActionAllowZero PodObservedGenerationTracking PodSchedulingReadiness " +
  "PreferSameTrafficDistribution RecoverVolumeExpansionFailure RecursiveReadOnlyMounts RelaxedDNSSearchValidation " +
  "RelaxedEnvironmentVariableValidation ResilientWatchCacheInitialization SchedulerQueueingHints " +
  "SeparateTaintEvictionController ServiceAccountTokenJTI ServiceAccountTokenNodeBinding " +
  "ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo ServiceTrafficDistribution " +
  "StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf StructuredAuthenticationConfiguration " +
  "StructuredAuthorizationConfiguration SupplementalGroupsPolicy SystemdWatchdog TopologyAwareHints WinDSR " +
  "WinOverlay";

/** Off for good. */
const lockedOff = "AllowOverwriteTerminationGracePeriodSeconds WatchFromStorageWithoutResourceVersion";

/** Gates whose other side is there too. */
const switchable: ReadonlySet<string> = new Set(["CustomCPUCFSQuotaPeriod"]);

/** Comes with --runtime-config, so that it may be on here. */
const byRuntimeConfig = "MutatingAdmissionPolicy";

interface Gate {
  readonly isOn: boolean;
  readonly isLocked: boolean;
}

function gateOf(name: string): Gate | undefined {
  const among = (names: string): boolean => names.split(" ").includes(name);
  if (among(lockedOn)) return { isOn: true, isLocked: true };
  if (among(lockedOff)) return { isOn: false, isLocked: true };
  if (among(onByDefault)) return { isOn: true, isLocked: false };
  return among(offByDefault) ? { isOn: false, isLocked: false } : undefined;
}

/**
 * Feature gates as `NAME=true|false`. Bramble does what upstream's components do by default, so that only a few have another side.
 * @returns those that were switched. Throws ConfigError, in upstream's words where it would refuse too.
 */
export function switchedGates(texts: readonly string[]): ReadonlyMap<string, boolean> {
  const switched = new Map<string, boolean>();
  for (const text of texts) {
    const [, name = "", value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
    if (value === undefined) throw fault(`missing bool value for ${text}`);
    const isOn = boolOf(value);
    if (isOn === undefined)
      throw fault(
        `invalid value of ${name}=${value}, err: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
      );
    const gate = gateOf(name);
    if (!gate) throw fault(`unrecognized feature gate: ${name}`);
    if (isOn === gate.isOn || name === byRuntimeConfig) continue;
    if (gate.isLocked) throw fault(`cannot set feature gate ${name} to ${isOn}, feature is locked to ${gate.isOn}`);
    if (!switchable.has(name))
      throw fault(`${name} cannot be ${value}: Bramble has it ${gate.isOn}, as upstream by default`);
    switched.set(name, isOn);
  }
  return switched;
}

/** As Go's strconv.ParseBool; undefined for no word of its. */
function boolOf(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

const fault = (message: string): ConfigError => new ConfigError(`feature-gates: ${message}`);

/** Those of a process, `NAME=BOOL` or `kube:NAME=BOOL`. */
export const featureGates: Option<readonly string[]> = (() => {
  const list = texts(
    "feature-gates",
    "GATE=BOOL",
    "upstream's feature gates; most cannot be other than by default here",
  );
  const parse = (value: unknown): readonly string[] => {
    const gates = list.parse(value).map((gate) => gate.replace(/^kube:/, ""));
    switchedGates(gates);
    return gates;
  };
  return { ...list, parse };
})();
