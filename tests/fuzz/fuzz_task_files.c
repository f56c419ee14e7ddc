/*
 * The expansion of a templated config (agent/task_files.h): whoever may create a config writes it,
 * and every agent that runs its tasks expands it. Whatever it says, the file is within its bound,
 * and a refusal does not repeat the secret beside it.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "agent/task_files.h"
#include "base/limits.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file_target key_file = {.name = (char *)"k"}, page_file = {.name = (char *)"page"};
	struct secret_ref key = {&key_file, (char *)"key", (char *)"key", NULL};
	struct config_ref page = {&page_file, NULL, (char *)"page", (char *)"page", NULL};
	struct container_spec container = {.secrets = {&key, 1}, .configs = {&page, 1}};
	struct template tpl = {.service_name = (char *)"web", .spec.container = &container};
	struct task task = {.o.id = (char *)"task", .service = (char *)"service", .slot = 1};
	struct session_secret secret = {.id = (char *)"key",
					.data = {(uint8_t *)(uintptr_t) "hunter2", 7}};
	struct session_secret text = {.id = (char *)"page",
				      .templated = true,
				      .data = {(uint8_t *)(uintptr_t)data, size}};
	struct task_node node = {.id = "node", .hostname = "alpha"};
	struct vault *v = vault_new();
	struct engine_files *files = NULL;
	struct err e = ERR_INIT;

	vault_put(v, &secret);
	vault_put(v, &text);
	if (task_files_make(&task, &tpl, &node, v, &files, &e) == 0)
		assert(files->list.n == 2 &&
		       files->list.v[1].n <= MAX_OF(size, LIMIT_FILE_EXPANDED));
	else
		assert(!files && (memmem(data, size, "hunter2", 7) || !strstr(e.msg, "hunter2")));
	engine_files_free(files);
	vault_free(v);
	return 0;
}
