/*
 * The host's part of the Engine API: containers, images, networks, events, the system itself. Thin:
 * a handler reads the request, asks the engine, and writes JSON by the tables. Called by main,
 * which gives the engine and, where the swarm has a word in it, how this node stands to its swarm.
 */
#pragma once

#include "agent/engine.h"
#include "api/router.h"
#include "api/swarm.h"

/* Each adds its family's routes; `engine` and `swarm` must outlive the router. */
void api_containers_add(struct api_router *r, struct engine *engine);
void api_exec_add(struct api_router *r, struct engine *engine, struct api_swarm *swarm);
void api_images_add(struct api_router *r, struct engine *engine);
void api_networks_add(struct api_router *r, struct engine *engine, struct api_swarm *swarm);
void api_volumes_add(struct api_router *r, struct engine *engine);
void api_system_add(struct api_router *r, struct engine *engine, struct api_swarm *swarm);
void api_events_add(struct api_router *r, struct engine *engine);

/*
 * Tells the engine's watchers what changes in the cluster's store: services, nodes, networks,
 * secrets and configs, as events of scope swarm, from when the manager is up to date on (NULL: at
 * once). Attach when a manager's store is there, detach before it goes.
 */
struct swarm_events;
struct swarm_events *swarm_events_attach(struct engine *engine, struct store *store,
					 struct manager *m);
void swarm_events_detach(struct swarm_events *s);
