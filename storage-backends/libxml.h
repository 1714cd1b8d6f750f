#ifndef STORAGE_BACKENDS_LIBXML_H
#define STORAGE_BACKENDS_LIBXML_H

#include <libxml/xmlreader.h>

#include "base/lazy.h"

/*
 * libxml2, loaded when it is first used (base/lazy.h). The functions that may be called stand in the
 * list, and below it under their own names.
 */
#define LIBXML_FUNCTIONS \
	X(xmlFreeTextReader) \
	X(xmlInitParser) \
	X(xmlReaderForMemory) \
	X(xmlTextReaderConstLocalName) \
	X(xmlTextReaderConstValue) \
	X(xmlTextReaderIsEmptyElement) \
	X(xmlTextReaderNodeType) \
	X(xmlTextReaderRead) \
	X(xmlTextReaderSetStructuredErrorHandler)

#define X(f) __typeof__(&f) f##_;
struct libxml {
	LIBXML_FUNCTIONS
};
#undef X
/* Filled, and set up for the process; for any thread. */
const struct libxml *libxml(void);

#define xmlFreeTextReader (libxml()->xmlFreeTextReader_)
#define xmlInitParser (libxml()->xmlInitParser_)
#define xmlReaderForMemory (libxml()->xmlReaderForMemory_)
#define xmlTextReaderConstLocalName (libxml()->xmlTextReaderConstLocalName_)
#define xmlTextReaderConstValue (libxml()->xmlTextReaderConstValue_)
#define xmlTextReaderIsEmptyElement (libxml()->xmlTextReaderIsEmptyElement_)
#define xmlTextReaderNodeType (libxml()->xmlTextReaderNodeType_)
#define xmlTextReaderRead (libxml()->xmlTextReaderRead_)
#define xmlTextReaderSetStructuredErrorHandler (libxml()->xmlTextReaderSetStructuredErrorHandler_)

#endif
