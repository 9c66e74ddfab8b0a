const metrics = "metrics are built in, so it is the pod or board that is not known";
const nullTimes = "upstream writes times that are not set as null";
const audiences = "upstream puts another authenticator's refusal before the reason";

/** By area: commands whose answers differ from upstream's, with the reason. */
export const differences: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  everyday: {
    "71 top node board": metrics,
    "86 auth can-i --list --as=nobody": "paths by which boards join and renew, and the page, are open to all",
  },
  reading: {
    "21 get pod a -o yaml": nullTimes,
    "22 get pod a -o yaml --show-managed-fields": nullTimes,
    "23 get pod a -o json": nullTimes,
    "24 get pod a -o kyaml": nullTimes,
  },
  kinds: {
    "65 describe events kinds-event --show-events=false": nullTimes,
    "139 get ipaddresses.networking.k8s.io 10.9.9.9 -o wide --show-labels -L app":
      "upstream's row has a cell more than there are columns",
    "153 describe events.events.k8s.io kinds-eventv1 --show-events=false": nullTimes,
  },
  workloads: {
    "130 top pod": metrics,
    "131 top pod none": metrics,
  },
  boards: {
    "43 top node none": metrics,
  },
  auth: {
    '48 token=$(kubectl create token robot --audience=one) && echo \'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"audiences":["other"],"token":"\'$token\'"}}\' | kubectl create -f - -o jsonpath=\'{.status.authenticated}{.status.user.username}{.status.user.groups}{.status.audiences}{.status.error}\'':
      audiences,
    '49 token=$(kubectl create token robot --audience=one) && echo \'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"audiences":[],"token":"\'$token\'"}}\' | kubectl create -f - -o jsonpath=\'{.status.authenticated}{.status.user.username}{.status.user.groups}{.status.audiences}{.status.error}\'':
      audiences,
  },
};
