// Print, for each ROI of a set on a label image: name, slice, area, least and greatest value; then the size of the image.
files = split(getArgument(), ",");
setBatchMode(true);
open(files[0]);
run("Set Measurements...", "area min");
print(getWidth() + " " + getHeight() + " " + nSlices + " " + bitDepth());
run("ROI Manager...");
roiManager("Open", files[1]);
for (number = 0; number < roiManager("count"); number++) {
    roiManager("select", number);
    getStatistics(area, mean, least, greatest);
    print(Roi.getName + " " + getSliceNumber() + " " + area + " " + least + " " + greatest);
}
