#ifndef STORAGE_BACKENDS_S3_LIBXML_H
#define STORAGE_BACKENDS_S3_LIBXML_H

#include <libxml/xmlreader.h>

#include "base/lazy.h"

/*
 * libxml2, loaded when it is first used (base/lazy.h). The functions that may be called stand in the
 * list, and below it under their own names.
 */
#define S3_LIBXML_FUNCTIONS \
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
struct s3_libxml {
	S3_LIBXML_FUNCTIONS
};
#undef X
/* Filled, and set up for the process; for any thread. */
const struct s3_libxml *s3_libxml(void);

#define xmlFreeTextReader (s3_libxml()->xmlFreeTextReader_)
#define xmlInitParser (s3_libxml()->xmlInitParser_)
#define xmlReaderForMemory (s3_libxml()->xmlReaderForMemory_)
#define xmlTextReaderConstLocalName (s3_libxml()->xmlTextReaderConstLocalName_)
#define xmlTextReaderConstValue (s3_libxml()->xmlTextReaderConstValue_)
#define xmlTextReaderIsEmptyElement (s3_libxml()->xmlTextReaderIsEmptyElement_)
#define xmlTextReaderNodeType (s3_libxml()->xmlTextReaderNodeType_)
#define xmlTextReaderRead (s3_libxml()->xmlTextReaderRead_)
#define xmlTextReaderSetStructuredErrorHandler (s3_libxml()->xmlTextReaderSetStructuredErrorHandler_)

#endif
