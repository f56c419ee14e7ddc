/*
 * Image references: what is accepted must read the same again from both of its forms.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xstrndup((const char *)data, size);
	auto_ref ref = {0}, again = {0}, familiar = {0};

	if (image_ref_parse(text, &ref, NULL) < 0) {
		auto_ref other = {0};

		assert(image_ref_parse("busybox:1.36", &other, NULL) == 0);
		(void)image_ref_match(&other, text, NULL);
		return 0;
	}
	auto_free char *whole = image_ref_text(&ref), *shown = image_ref_familiar(&ref);
	assert(image_ref_parse(whole, &again, NULL) == 0);
	assert(image_ref_parse(shown, &familiar, NULL) == 0);
	auto_free char *whole2 = image_ref_text(&again), *whole3 = image_ref_text(&familiar);
	assert(strcmp(whole, whole2) == 0 && strcmp(whole, whole3) == 0);
	return 0;
}
