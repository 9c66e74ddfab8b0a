/** What a cluster has one of: boards are told it by their master when they join. */
export const clusterWide = ["clusterCidr", "serviceCidr", "clusterDns", "clusterDomain"] as const;
